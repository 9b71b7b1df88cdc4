"""The tables of L-SWAG's options, from the CSVs of `bench.correlation.ablations`, `batch_size` and `layer_profile`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from bench.pages import markdown
from bench.table1.published import ALL_LAYERS, BY_INTERVAL

TARGET = "cifar10_test"
ALL_NETWORKS = "all"
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


def layer_profile(path: Path) -> str:
    """A line per space and statistic: its median over all networks in each percentile bin."""
    found = pd.read_csv(path).query("cluster == @ALL_NETWORKS")
    wide = found.pivot_table(index=["space", "statistic"], columns="bin", values="median", sort=False)
    counts = found.groupby("space")["n"].max()
    lines = [
        [f"`{space}`, {counts[space]} networks", statistic, *(markdown.number(value) for value in line)]
        for (space, statistic), line in zip(wide.index, wide.to_numpy(), strict=True)
    ]
    return markdown.table(["space", "statistic", *map(str, wide.columns)], lines, n_words=2)


def batch_sizes(titles: Mapping[str, str]) -> Callable[[Path], str]:
    """What makes a line per score and batch size: its correlation with each target, and with itself at 64 samples."""

    def written(path: Path) -> str:
        lines = []
        for (score, size), rows in pd.read_csv(path).groupby(["score", "batch"], sort=False):
            by_target = rows.set_index("target")
            own = [markdown.with_range(*by_target.loc[target, ["spearman", "low", "high"]]) for target in titles]
            agreement, n = rows["agreement"].iloc[0], rows["n"].iloc[0]
            lines.append([str(score), str(size), *own, markdown.number(agreement), str(n)])
        return markdown.table(["score", "batch", *titles.values(), "order as at 64", "n"], lines)

    return written
