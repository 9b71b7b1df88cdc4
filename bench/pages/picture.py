"""The README's picture: how well proxies rank trained networks, and what they cost.

The SVG is transparent and drawn in colours that are legible on a light and on a dark page. Its description holds a
digest of the numbers that it shows, by which `bench.pages` knows whether it is out of date: other versions of the
library that draws it write other bytes for the same picture.
"""

from __future__ import annotations

import hashlib
import io
from typing import Any

import pandas as pd

from bench.pages import reach
from bench.pages.tables import RESULTS

INK, RULE, CELLS, TRANSFORMERS = "#747c87", "#8b98a9", "#3d86e8", "#e8710c"
FILE = "docs/results/proxies.svg"


def shown() -> dict[str, pd.DataFrame]:
    """The benchmarks of the picture, and the numbers of the proxies that it shows, the first one on top."""
    folder, prices = RESULTS / "correlation", RESULTS / "score" / "proxies.csv"
    found = {
        "NAS-Bench-201: 1,000 cells, CIFAR-10": reach.on_cells(folder / "nasbench201_correlation.csv", prices),
        "Autoformer-Tiny: 100 networks, mean of three tasks": reach.on_transformers(
            folder / "autoformer_correlation.csv", prices
        ),
    }
    return {title: numbers.loc[list(reach.SHOWN)] for title, numbers in found.items()}


def digest() -> str:
    """Of the numbers that the picture shows."""
    text = "".join(title + numbers.round(4).to_csv() for title, numbers in shown().items())
    return hashlib.sha256(text.encode()).hexdigest()


def svg() -> str:
    """The picture."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "lswag_fast", "font.size": 11, "text.color": INK}):
        figure = Figure(figsize=(10, 4.6), layout="constrained")
        ranks, prices = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
        _draw(ranks, prices)
        handles, labels = ranks.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Description": digest()})
    return "".join(f"{line.rstrip()}\n" for line in buffer.getvalue().splitlines())


def _draw(ranks: Any, prices: Any) -> None:
    rows = list(range(len(reach.SHOWN)))
    for (title, numbers), colour, marker, shift in zip(
        shown().items(), (CELLS, TRANSFORMERS), "oD", (-0.17, 0.17), strict=True
    ):
        places = [row + shift for row in rows]
        if "spearman_low" in numbers:
            ranks.hlines(places, numbers["spearman_low"], numbers["spearman_high"], colour, linewidth=2, alpha=0.5)
        ranks.scatter(numbers["spearman"], places, 44, colour, marker=marker, zorder=3, label=title)
        prices.barh(places, numbers["price"], 0.3, color=colour)
    ranks.set_yticks(rows, reach.SHOWN)
    ranks.get_yticklabels()[0].set_fontweight("bold")
    ranks.set(xlim=(0.5, 0.92), ylim=(len(rows) - 0.4, -0.6))
    ranks.set_xlabel("Spearman with the accuracy after training")
    prices.set_xlabel("price, in plain forward and backward passes")
    for axes in (ranks, prices):
        axes.axhspan(-0.5, 0.5, color=RULE, alpha=0.15, linewidth=0, zorder=0)
        axes.tick_params(colors=INK, length=0)
        axes.xaxis.label.set_color(INK)
        axes.grid(axis="x", color=RULE, alpha=0.3, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[:].set_visible(False)
