"""Turn the CSV of `bench.score.run --suite proxies` into a table.

`python -m bench.score.proxy_table FILE.csv [--readme FILE]`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.csv_file import rows_of
from bench.score.table import NETWORK_LABELS, replace_between_marks

BEGIN, END = "<!-- proxies:begin -->", "<!-- proxies:end -->"
LABELS = {"shared": "ten proxies of the shared pass, together", "shared_apart": "the same ten, one call each"}
Row = dict[str, str]


def label(method: str) -> str:
    """How the table calls a method."""
    return LABELS.get(method, f"`{method.removeprefix('proxy_')}`")


def markdown(rows: list[Row]) -> str:
    """One line per method, one column per network: time in units of a plain forward and backward pass."""
    settings = list(dict.fromkeys((row["network"], row["batch"]) for row in rows))
    ratios = {(row["network"], row["batch"], row["method"]): float(row["ratio"]) for row in rows}
    titles = [f"{NETWORK_LABELS.get(network, network)}, batch {batch}" for network, batch in settings]
    lines = [f"| x plain forward + backward | {' | '.join(titles)} |", f"| --- |{' ---: |' * len(settings)}"]
    for method in dict.fromkeys(row["method"] for row in rows):
        found = (ratios.get((*setting, method)) for setting in settings)
        lines.append(f"| {label(method)} | {' | '.join('' if r is None else f'{r:.2f}' for r in found)} |")
    first = rows[0]
    machine = f"{first['cpu']}, {first['threads']} threads, {first['isa']}, torch {first['torch']}, {first['date']}"
    return "\n".join([*lines, "", f"Measured on: {machine}."])


def main() -> None:
    """Read the command line; print the table or write it into the README."""
    parser = argparse.ArgumentParser(description="Turn the measured costs of the proxies into the README's table.")
    parser.add_argument("csv", type=Path)
    parser.add_argument("--readme", type=Path, help="replace the table in this file instead of printing it")
    options = parser.parse_args()
    table = markdown(rows_of(options.csv))
    if options.readme:
        text = options.readme.read_text(encoding="utf-8")
        options.readme.write_text(replace_between_marks(text, table, BEGIN, END), encoding="utf-8")
    else:
        sys.stdout.write(table + "\n")


if __name__ == "__main__":
    main()
