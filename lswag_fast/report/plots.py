"""The figures of a search in matplotlib. None is shown; save one with `figure.savefig(path)`."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lswag_fast.errors import InputError, MissingExtraError
from lswag_fast.report import numbers, words
from lswag_fast.study.trial import Trial, pareto_front

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The light palette of the page.
ACCENT, INK, SOFT, MUTED, LINE, AGAINST = "#c2410c", "#1d2126", "#5b626b", "#8b939c", "#e2e3e1", "#3f6ea3"
_SERIES = (ACCENT, "#3f4750", MUTED, "#e79a6f", "#5f7f9e", "#b8b3aa")
_MARKERS = "oDs^Pv"


def plot_history(trials: Sequence[Trial]) -> Figure:
    """Draw every score in the order of the search, and the best so far.

    Raises InputError when no trial has a score, MissingExtraError without matplotlib.
    """
    scored, best = _scored(trials), numbers.improvements(trials)
    figure = _figure(7.6, 4.2)
    axes = _axes(figure, "trial", "score (higher is better)")
    _dots(axes, [trial.number for trial in scored], scored, "scored")
    xs, ys = [trial.number for trial in best], numbers.scores_of(best)
    axes.step([*xs, trials[-1].number], [*ys, ys[-1]], where="post", color=ACCENT, linewidth=1.8, label="best so far")
    axes.plot(xs, ys, "o", color=ACCENT, markersize=5.5)
    lost = [trial.number for trial in numbers.failed(trials)]
    if lost:
        foot = axes.get_xaxis_transform()
        axes.plot(lost, [0.02] * len(lost), "x", color=INK, markersize=5, transform=foot, label="failed", clip_on=False)
    _title(axes, f"best {ys[-1]:.6g}, trial {xs[-1]}")
    _legend(axes)
    return figure


def plot_front(trials: Sequence[Trial], cost: str = "n_params") -> Figure:
    """Draw score against a cost, with the front: the best score found at or below each cost.

    Args:
        trials: finished trials.
        cost: `n_params`, `macs` or `latency_ms`.

    Raises InputError for another cost, one that was not measured, or when no trial has a score, MissingExtraError
    without matplotlib.
    """
    if cost not in numbers.COSTS:
        raise InputError(f"cost must be one of {', '.join(numbers.COSTS)}; found {cost!r}")
    scored = _scored(trials)
    if cost not in numbers.measured_costs(trials):
        raise InputError(f"{cost} was not measured in this search")
    leaders = pareto_front(trials, cost)
    figure = _figure(6.0, 4.4)
    unit = " (ms)" if cost == "latency_ms" else ""
    axes = _axes(figure, f"{words.COST_NAMES[cost]}{unit}", "score (higher is better)")
    _dots(axes, numbers.costs_of(scored, cost), scored, "scored")
    xs, ys = numbers.costs_of(leaders, cost), numbers.scores_of(leaders)
    axes.step(xs, ys, "o-", where="post", color=ACCENT, linewidth=1.8, markersize=5.5, label="front")
    axes.plot(xs[-1:], ys[-1:], "o", color=ACCENT, markersize=12, fillstyle="none", label="best")
    if cost != "latency_ms":
        axes.xaxis.set_major_formatter(lambda value, _: words.count(value))
    _title(axes, f"{len(leaders):,} on the front")
    _legend(axes)
    return figure


def plot_agreement(trials: Sequence[Trial], lower_is_better: Collection[str] = ()) -> Figure:
    """Draw Spearman's rank correlations of the proxies with each other, with the score and with the costs.

    Args:
        trials: finished trials.
        lower_is_better: proxies that are turned around first, so that two which agree have a positive number.

    Raises InputError for fewer than two proxies or three scored trials, MissingExtraError without matplotlib.
    """
    found = numbers.agreement(trials, lower_is_better)
    if found is None:
        raise InputError("the agreement of proxies needs at least two proxies and three scored trials")
    side = 1.6 + 0.62 * len(found.names)
    figure = _figure(side + 0.8, side)
    axes = figure.subplots()
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("agreement", [AGAINST, "#ffffff", ACCENT])
    image = axes.imshow(found.rho, cmap=colours, vmin=-1, vmax=1)
    axes.set_xticks(range(len(found.names)), found.names, rotation=40, ha="right")
    axes.set_yticks(range(len(found.names)), found.names)
    axes.tick_params(length=0, colors=INK)
    axes.spines[:].set_visible(False)
    for (row, column), value in np.ndenumerate(found.rho):
        shade = "white" if abs(value) > 0.6 else INK  # readable on the dark ends of the map
        text = "-" if math.isnan(value) else f"{value:.2f}"
        axes.text(column, row, text, ha="center", va="center", color=shade, fontsize=9)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, label="Spearman")
    bar.outline.set_visible(False)
    _title(axes, f"rank agreement over {words.plural(found.n_trials, 'trial')}")
    return figure


def plot_profile(profile: Sequence[Mapping[str, Any]], title: str = "") -> Figure:
    """Draw trainability and cardinality of every layer of a network, in order of execution.

    Args:
        profile: a dictionary a layer, with the fields of `LayerScore`; layers that do the same are joined.
        title: above the figure.

    Raises InputError for a profile without layers, MissingExtraError without matplotlib.
    """
    if not profile:
        raise InputError("there is no layer to draw: the search stored no profile of its best")
    figure = _figure(8.0, 5.6)
    top, bottom = figure.subplots(2, 1, sharex=True)
    panels = ((top, "trainability", r"trainability $\Lambda_l$ (ln)"), (bottom, "cardinality", r"cardinality $\Psi_l$"))
    for axes, quantity, label in panels:
        _clean(axes, "layer, in order of execution" if axes is bottom else "", label)
        for place, role in enumerate(numbers.roles(profile)):
            ys = [math.nan if layer[quantity] is None else layer[quantity] for layer in role.layers]
            marker, colour = _MARKERS[place % len(_MARKERS)], _SERIES[place % len(_SERIES)]
            axes.plot(role.places, ys, marker=marker, color=colour, linewidth=1.2, markersize=4.5, label=role.name)
    _title(top, title)
    handles, labels = top.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=4, frameon=False, fontsize=8, labelcolor=SOFT)
    return figure


def _figure(width: float, height: float) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("plot", "matplotlib") from error
    return Figure(figsize=(width, height), layout="constrained")


def _axes(figure: Figure, x: str, y: str) -> Axes:
    axes = figure.subplots()
    _clean(axes, x, y)
    return axes


def _clean(axes: Axes, x: str, y: str) -> None:
    """A frame of two thin lines, and a grid that does not shout."""
    axes.set_xlabel(x, color=SOFT)
    axes.set_ylabel(y, color=SOFT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(MUTED)
    axes.tick_params(colors=SOFT)
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", color=INK, fontsize=11, fontweight="bold")


def _legend(axes: Axes) -> None:
    """Above the plot, to the right of the title: it never covers a point."""
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, fontsize=9, labelcolor=SOFT)


def _scored(trials: Sequence[Trial]) -> list[Trial]:
    scored = numbers.complete(trials)
    if not scored:
        raise InputError("no trial has a score yet, so there is nothing to draw")
    return scored


def _dots(axes: Axes, xs: Sequence[float], trials: Sequence[Trial], label: str) -> None:
    axes.scatter(xs, numbers.scores_of(trials), s=16, color=MUTED, alpha=0.75, linewidths=0, label=label)
