"""Measure one part and append its rows to a CSV as they are there: `python -m bench.device.measure PART --csv FILE`."""

from __future__ import annotations

import argparse
import datetime
import importlib
import sys
import traceback
from pathlib import Path
from typing import Any

from bench.csv_file import append
from bench.device.place import Cell, place, where
from bench.device.plan import PARTS

COLUMNS = (
    "part", "method", "case", "batch", "arithmetic", "median_s", "min_s", "max_s", "n", "ratio", "peak_mb", "result",
    "gflops", "peak_gflops", "gb_s", "fraction", "candidates_s", "build_s", "score_s", "problem", "device", "cuda",
    "cpu", "cores", "isa", "threads", "torch", "lswag_fast", "compiler", "python", "date",
)  # fmt: skip


def measured(cell: Cell) -> list[dict[str, Any]]:
    """The rows of a cell; where it fails, one with the reason, so that a network too large costs no other its rows."""
    try:
        return [{**cell.key, **row} for row in cell.measure()]
    except Exception as error:
        traceback.print_exc()
        return [{**cell.key, "problem": f"{type(error).__name__}: {error}".splitlines()[0]}]


def main() -> int:
    """Read the command line and measure; the exit status says whether every cell has its row."""
    parser = argparse.ArgumentParser(description="Measure one part and append its rows to a CSV.")
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--tiny", action="store_true", help="tiny sizes: checks that all of it runs")
    options = parser.parse_args()
    device = place()
    here = {**where(device), "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat()}
    n_failed = 0
    part = importlib.import_module(f"bench.device.{options.part}")  # what one lacks costs no other its rows
    for cell in part.cells(device, options.tiny):
        for row in measured(cell):
            n_failed += "problem" in row
            append(options.csv, COLUMNS, {"part": options.part, **row, **here})
            sys.stdout.write(", ".join(f"{key} {value}" for key, value in row.items()) + "\n")
            sys.stdout.flush()
    if n_failed:
        sys.stdout.write(f"{n_failed} rows have a problem\n")
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
