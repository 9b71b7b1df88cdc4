"""Write the tables and the picture of the pages: `python -m bench.pages`; --check only names what is out of date."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.pages.pages import written_anew

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Read the command line; write what differs from its CSVs, or say what does."""
    parser = argparse.ArgumentParser(description="Write the numbers of bench/results into README.md and docs.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where something is out of date")
    options = parser.parse_args()
    changed = written_anew(ROOT)
    for path, text in changed.items():
        if not options.check:
            path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)}: {'out of date' if options.check else 'written'}\n")
    return 1 if options.check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
