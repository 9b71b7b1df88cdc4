"""What the batch size does to L-SWAG, its parts and ZiCo: `python -m bench.correlation.batch_size FOLDER TABLE
--targets COLUMN,... --out FILE.csv`.

FOLDER is what `bench.correlation.layer_numbers` wrote, with the settings batch-8 to batch-128 and base, whose batch
has 64 samples. A row is one score at one batch size against one accuracy: Spearman with its 95 % interval over
`resamples` of the networks that all sizes have, and the difference to 64 samples with its interval; `agreement` is the
Spearman of the score's values at this size and at 64.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from bench.correlation.ablations import SIGNED_MU, Cell, Cells, bootstrapped, read_cells, scored, value
from lswag_fast.data.tables import read_table

BASE_SIZE = 64
FILES = {size: "base" if size == BASE_SIZE else f"batch-{size}" for size in (8, 16, 32, BASE_SIZE, 128)}

SCORES: dict[str, Callable[[Cell], float]] = {
    "lswag": value,
    "Lambda": lambda cell: value(cell, "Lambda"),
    "Psi": lambda cell: value(cell, "Psi"),
    "zico": lambda cell: value(cell, "Lambda", numerator=SIGNED_MU),
}


def by_size(measured: Mapping[int, Cells]) -> dict[str, pd.DataFrame]:
    """Each score's values: a row per network that all sizes have, a column per size."""
    found = {
        name: pd.DataFrame({size: scored(cells, score) for size, cells in measured.items()}).dropna()
        for name, score in SCORES.items()
    }
    base = measured[BASE_SIZE]
    mixed = {
        size: pd.Series({arch: value(cell, patterns=base[arch]) for arch, cell in cells.items() if arch in base})
        for size, cells in measured.items()
    }
    return {**found, "lswag, patterns of batch 64": pd.DataFrame(mixed).dropna()}


def compared(
    values: Mapping[str, pd.DataFrame], accuracies: pd.DataFrame, targets: list[str], resamples: int, seed: int
) -> pd.DataFrame:
    """Every score at every size against every accuracy."""
    rows = []
    for name, table in values.items():
        base = table[BASE_SIZE]
        for size in table:
            agreement = table[size].corr(base, method="spearman")
            for target in targets:
                found = bootstrapped(table[size], base, accuracies[target], resamples, seed)
                rows.append({"score": name, "batch": size, "target": target, **found, "agreement": agreement})
    return pd.DataFrame(rows).drop(columns="default")


def main() -> None:
    """Read the command line, compare and write."""
    parser = argparse.ArgumentParser(description="What the batch size does to L-SWAG, its parts and ZiCo.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--targets", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    measured = {size: read_cells(options.folder / f"{name}.csv") for size, name in FILES.items()}
    targets = options.targets.split(",")
    found = compared(by_size(measured), read_table(options.table), targets, options.resamples, options.seed)
    found.round(4).to_csv(options.out, index=False)
    wide = found.pivot_table(index=["score", "batch"], columns="target", values="spearman", sort=False)
    sys.stdout.write(wide.round(3).to_string() + "\n")


if __name__ == "__main__":
    main()
