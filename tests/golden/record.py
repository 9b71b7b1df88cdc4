"""`python -m golden.record`, with `tests` on the path: write the values of this machine to `scores.json`.

To be run before a change that must not move a number, never after it.
"""

from __future__ import annotations

import json

from golden.values import INSTRUCTION_SETS, SCORES_FILE, machine, values_under


def main() -> None:
    """Record every instruction set."""
    recorded = {"machine": machine(), "values": {isa: values_under(isa) for isa in INSTRUCTION_SETS}}
    SCORES_FILE.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
