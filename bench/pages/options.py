"""The tables of L-SWAG's options on a space of cells, from the CSVs of `bench.correlation.ablations`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from bench.pages import markdown
from bench.table1.published import ALL_LAYERS, BY_INTERVAL

TARGET = "cifar10_test"
DEFAULT = "base, layerwise"

# What the table calls a variant of the CSV; the default comes first.
VARIANTS = {
    DEFAULT: "the default: layerwise, batch 64, auto ({auto}) pattern samples",
    "product": '`combine="product"` (Equation 1 read literally)',
    "log": '`combine="log"`',
    "Psi": "Psi alone",
    "Lambda": "Lambda alone: mu dropped",
    "mu/sigma, all layers, no Psi": "mu/sigma alone: mu kept, as ZiCo",
    "mu/sigma, all layers, Psi": "mu/sigma, layerwise with Psi",
    "1": "`layers=(0, 1)`",
    "3": "`layers=(2, 3)`",
    **{f"layerwise, {n}": f"`pattern_samples={n}`" for n in (8, 14, 18, 20, 32, 64)},
    **{f"microbatch-{n}, layerwise": f'`variance="microbatch:{n}"`' for n in (2, 4, 8)},
    "signed, layerwise": '`gradient="signed"`',
    "batch-8, layerwise": "batch 8",
    "batch-8, layerwise, patterns of batch 64": "batch 8 for the gradients, 16 samples in a pattern",
    **{f"batch-{n}, layerwise": f"batch {n}" for n in (16, 32, 128)},
    "xavier, layerwise": "Xavier instead of Kaiming",
    "gaussian, layerwise": "N(0, 0.02^2) instead of Kaiming",
    "seed-1, layerwise": "other images and weights (seed 1)",
    "seed-2, layerwise": "other images and weights (seed 2)",
    "eval-mode, layerwise": "eval mode",
}


def table(auto: int, remarks: Mapping[str, str] | None = None) -> Callable[[Path], str]:
    """What makes the table of a space, on whose networks "auto" takes so many samples of a pattern; remarks stand
    behind the variants that they are of."""
    remarks = remarks or {}

    def written(path: Path) -> str:
        """A line per option: its correlation, and the difference to the default on the same networks."""
        found = pd.read_csv(path).query("target == @TARGET").set_index("variant")
        rows = []
        for variant in (name for name in VARIANTS if name in found.index):
            row = found.loc[variant]
            difference = markdown.signed(row["difference"])
            ends = markdown.bracketed(markdown.signed(row["difference_low"]), markdown.signed(row["difference_high"]))
            own = markdown.with_range(row["spearman"], row["low"], row["high"])
            cells = own, f"{difference} {ends}" if variant != DEFAULT else "", str(row["n"])
            rows.append([VARIANTS[variant].format(auto=auto) + remarks.get(variant, ""), *cells])
        return markdown.table(["option", "Spearman, CIFAR-10", "difference to the default", "n"], rows)

    return written


def intervals(columns: Mapping[str, str]) -> Callable[..., str]:
    """What makes Table 5: a line per interval of layers, the paper's numbers in brackets.

    Args:
        columns: The column of `bench.table1.published` by title, one for each target of the first CSV, then those of
            the next ones.
    """

    def written(*paths: Path) -> str:
        found = [part for path in paths for _, part in pd.read_csv(path).groupby("target", sort=False)]
        tables = [part.set_index("variant") for part in found]
        lines = []
        for row, theirs in BY_INTERVAL.items():
            name = DEFAULT if row == ALL_LAYERS else row
            own = [markdown.with_range(*table.loc[name, ["spearman", "low", "high"]]) for table in tables]
            published = [markdown.number(theirs[place]) for place in columns.values()]
            cells = [f"{ours} ({other})" for ours, other in zip(own, published, strict=True)]
            lines.append(["all layers" if row == ALL_LAYERS else f"`layers=({int(row) - 1}, {row})`", *cells])
        counts = [f"{title}, {table['n'].max()} networks" for title, table in zip(columns, tables, strict=True)]
        return markdown.table(["Spearman [95 % interval] (the paper's)", *counts], lines)

    return written
