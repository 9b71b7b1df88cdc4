"""The statistics of the layers by depth, as in Figures 9 and 10 of the paper: `python -m
bench.correlation.layer_profile SPACE=FOLDER... --out FILE.csv --plot FILE.png`.

Each FOLDER is what `bench.correlation.layer_numbers` wrote. A network's value in a percentile bin (Equation 6) is the
mean over its layers there; a row has the median and the quartiles of that over the networks of a space: over all of
them; over each cluster of depth, which is the blocks of a vision transformer, and for cells the nearest of the numbers
of layers that the paper names; and over all, but without the layers that make queries, keys and values.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.correlation.ablations import ABS_MU, INV_SIGMA, Cells, read_cells
from bench.correlation.runs import named
from lswag_fast.option_checks import PERCENTILE_BINS
from lswag_fast.plots.style import ACCENT, AGAINST, SERIES, label_axes, new_figure, set_title

Layer = dict[str, Any]

LAYERS = (20, 30, 40, 60)
"""The clusters of the supplement's Figure 10."""
ALL, WITHOUT_QKV = "all", "without qkv"


def _inverse_lambda(layer: Layer) -> float:
    value = math.log(layer[INV_SIGMA])
    return 1 / value if value else math.nan


STATISTICS: dict[str, Callable[[Layer], float]] = {
    "mu / sigma": lambda layer: layer[ABS_MU] / layer["n_weights"],
    "ln sigma": lambda layer: math.log(layer["n_weights"] / layer[INV_SIGMA]),
    "1 / Lambda": _inverse_lambda,
}
"""Of a layer: the mean over its weights of E|g| / sd|g|; ln of their harmonic mean sd|g|, which Figure 2b has by its
axis; and what the caption of Figure 9 names."""

COLORS, LINES = (SERIES[1], SERIES[4], SERIES[3], AGAINST), ("--", "-.", ":", "-")


def cluster_of(arch: str, n_layers: int) -> str:
    """The cluster of a network: its blocks, or the nearest of `LAYERS`."""
    blocks = json.loads(arch).get("depth") if arch.startswith("{") else None
    return f"{min(LAYERS, key=lambda n: abs(n - n_layers))} layers" if blocks is None else f"{blocks} blocks"


def by_bin(cells: Cells) -> pd.DataFrame:
    """A row per network, cluster that it belongs to, statistic and bin that holds one of its layers there."""
    rows = []
    for arch, cell in cells.items():
        own = cluster_of(arch, len(cell["layers"]))
        has_qkv = any(_is_qkv(layer) for layer in cell["layers"])
        for layer in cell["layers"]:
            values = {"arch": arch, "bin": layer["percentile"], **{name: of(layer) for name, of in STATISTICS.items()}}
            clusters = [ALL, own, *([WITHOUT_QKV] if has_qkv and not _is_qkv(layer) else [])]
            rows += [{"cluster": cluster, **values} for cluster in clusters]
    means = pd.DataFrame(rows).groupby(["arch", "cluster", "bin"])[list(STATISTICS)].mean()
    return means.reset_index().melt(["arch", "cluster", "bin"], var_name="statistic")


def _is_qkv(layer: Layer) -> bool:
    return ".qkv." in layer["name"]


def profile(cells: Cells) -> pd.DataFrame:
    """Median and quartiles over the networks, by cluster, statistic and bin."""
    grouped = by_bin(cells).groupby(["cluster", "statistic", "bin"])["value"]
    quartiles = grouped.quantile(np.array([0.25, 0.5, 0.75])).unstack()
    return quartiles.set_axis(["low", "median", "high"], axis=1).assign(n=grouped.count()).reset_index()


def plot(found: pd.DataFrame) -> Any:
    """A column per space, a row per statistic: all networks with their quartiles, and the other medians."""
    spaces = found["space"].unique()
    figure = new_figure(3.4 * len(spaces), 2.6 * len(STATISTICS))
    grid = figure.subplots(len(STATISTICS), len(spaces), squeeze=False, sharex=True)
    for line, statistic in zip(grid, STATISTICS, strict=True):
        for axes, space in zip(line, spaces, strict=True):
            _draw(axes, found[(found["space"] == space) & (found["statistic"] == statistic)])
            label_axes(axes, "", statistic)
    for axes in grid[-1]:
        axes.set_xlabel("percentile bin of depth")
    for axes, space in zip(grid[0], spaces, strict=True):
        set_title(axes, space)
        axes.legend(frameon=False, fontsize=7)
    return figure


def _draw(axes: Any, part: pd.DataFrame) -> None:
    whole = part[part["cluster"] == ALL]
    axes.fill_between(whole["bin"], whole["low"], whole["high"], color=ACCENT, alpha=0.2, linewidth=0)
    axes.plot(whole["bin"], whole["median"], "o-", color=ACCENT, markersize=3, label=f"all {whole['n'].max()}")
    others = part[part["cluster"] != ALL].groupby("cluster")
    for (cluster, rows), color, line in zip(others, COLORS, LINES, strict=False):
        axes.plot(rows["bin"], rows["median"], line, color=color, linewidth=1, label=f"{cluster}: {rows['n'].max()}")
    axes.set_xticks(range(PERCENTILE_BINS + 1))


def main() -> None:
    """Read the command line, summarise and write."""
    parser = argparse.ArgumentParser(description="The statistics of the layers by depth.")
    parser.add_argument("folders", nargs="+", type=named, metavar="SPACE=FOLDER")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--plot", type=Path, required=True)
    options = parser.parse_args()
    parts = [profile(read_cells(folder / "base.csv")).assign(space=space) for space, folder in options.folders]
    found = pd.concat(parts)[["space", "cluster", "statistic", "bin", "median", "low", "high", "n"]]
    found.round(4).to_csv(options.out, index=False)
    plot(found).savefig(options.plot, dpi=80)


if __name__ == "__main__":
    main()
