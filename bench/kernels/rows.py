"""Turn what pytest-benchmark wrote for the kernels into a CSV: `python -m bench.kernels.rows IN.json --out OUT.csv`."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

TIMES = {"median_s": "median", "min_s": "min", "max_s": "max", "n": "rounds"}


def row(benchmark: dict[str, Any], date: str) -> dict[str, Any]:
    """One measured kernel: its name and case, the times, the fractions, the machine."""
    test, _, case = benchmark["name"].removeprefix("test_").partition("[")
    times = {column: benchmark["stats"][field] for column, field in TIMES.items()}
    return {"benchmark": test, "case": case.removesuffix("]"), **times, **benchmark["extra_info"], "date": date[:10]}


def main() -> None:
    """Read the command line and write the CSV; columns that a kernel lacks stay empty."""
    parser = argparse.ArgumentParser(description="Turn what pytest-benchmark wrote for the kernels into a CSV.")
    parser.add_argument("json", type=Path, help="file written by pytest --benchmark-json")
    parser.add_argument("--out", type=Path, default=Path("bench/results/kernels/kernels.csv"))
    options = parser.parse_args()
    measured = json.loads(options.json.read_text(encoding="utf-8"))
    rows = [row(benchmark, measured["datetime"]) for benchmark in measured["benchmarks"]]
    columns = list(dict.fromkeys(column for one in rows for column in one))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
