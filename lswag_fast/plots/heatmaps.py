"""Rank correlations as heatmaps: of proxies with each other, and with targets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lswag_fast.errors import InputError
from lswag_fast.plots.style import ACCENT, AGAINST, INK, new_figure, set_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DARK = 0.6
"""A correlation beyond it, either way, is written in white, to be readable on its colour."""


def plot_agreement(names: Sequence[str], rho: Any, title: str = "rank agreement") -> Figure:
    """Draw how a number of rankings agree with each other.

    Args:
        names: of the n rankings: proxies, the score, costs.
        rho: their rank correlations, (n, n), from -1 to 1; NaN is drawn as a dash.
        title: above the figure.

    Returns:
        The figure.

    Raises:
        InputError: `rho` is not (n, n).
        MissingExtraError: matplotlib is not installed.

    Example:
        >>> figure = plot_agreement(["lswag", "zico"], [[1.0, 0.8], [0.8, 1.0]])
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['1.00', '0.80', '0.80', '1.00']
    """
    side = 1.6 + 0.62 * len(names)
    figure = new_figure(side + 0.8, side)
    axes = figure.subplots()
    _draw_heatmap(axes, np.asarray(rho, dtype=np.float64), names, names)
    set_title(axes, title)
    return figure


def plot_correlations(columns: Mapping[str, Mapping[Any, float]], title: str = "Spearman correlation") -> Figure:
    """Draw how well proxies rank each target, the proxy that is best on average first.

    Args:
        columns: {target: {proxy: correlation}}, from -1 to 1; a proxy that a target lacks, or NaN, is drawn as a dash.
        title: above the figure.

    Returns:
        The figure.

    Raises:
        InputError: there is no correlation to draw.
        MissingExtraError: matplotlib is not installed.

    Example:
        >>> figure = plot_correlations({"cifar10": {"synflow": 0.7, "lswag": 0.8}})
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['lswag', 'synflow']
    """
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    rows = {name: [column.get(name, math.nan) for column in columns.values()] for name in names}
    names.sort(key=lambda name: -_mean(rows[name]))
    figure = new_figure(1.6 + 1.3 * len(columns), 1.2 + 0.3 * len(names))
    axes = figure.subplots()
    _draw_heatmap(axes, np.array([rows[name] for name in names]), names, list(columns), aspect="auto")
    set_title(axes, title)
    return figure


def _mean(values: Sequence[float]) -> float:
    """The mean of what is known; below every other where nothing is."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else -math.inf


def _draw_heatmap(
    axes: Axes, rho: NDArray[np.float64], rows: Sequence[str], columns: Sequence[str], *, aspect: Any = "equal"
) -> None:
    if rho.size == 0 or rho.shape != (len(rows), len(columns)):
        raise InputError(f"there is no correlation to draw: {len(rows)} x {len(columns)} names, shape {rho.shape}")
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("correlation", [AGAINST, "#ffffff", ACCENT])
    image = axes.imshow(rho, cmap=colours, vmin=-1, vmax=1, aspect=aspect)
    axes.set_xticks(range(len(columns)), columns, rotation=40, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0, colors=INK)
    axes.spines[:].set_visible(False)
    for (row, column), value in np.ndenumerate(rho):
        text = "-" if math.isnan(value) else f"{value:.2f}"
        colour = "white" if abs(value) > _DARK else INK
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.8, label="Spearman")
    bar.outline.set_visible(False)
