"""The trials of a search: scores in their order, and scores against a cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lswag_fast.errors import InputError
from lswag_fast.plots.style import ACCENT, INK, MUTED, add_legend, label_axes, new_figure, set_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = Sequence[tuple[float, float]]
"""Pairs of x and y."""

_SCORE = "score (higher is better)"


def plot_history(scored: Points, best: Points, failed: Sequence[int] = ()) -> Figure:
    """Draw every score in the order of the search, and the best so far.

    Args:
        scored: (number of the trial, score), in order.
        best: those of `scored` that were the best up to then.
        failed: the numbers of trials without a score.

    Returns:
        The figure.

    Raises:
        InputError: no trial has a score.
        MissingExtraError: matplotlib is not installed.

    Example:
        >>> figure = plot_history([(0, 1.0), (1, 0.5), (2, 3.0)], best=[(0, 1.0), (2, 3.0)])
        >>> figure.axes[0].get_title(loc="left")
        'best 3, trial 2'
    """
    _check_scored(scored)
    figure = new_figure(7.6, 4.2)
    axes = figure.subplots()
    label_axes(axes, "trial", _SCORE)
    _draw_dots(axes, scored)
    xs, ys = _split(best)
    last = max(scored[-1][0], *failed) if failed else scored[-1][0]
    axes.step([*xs, last], [*ys, ys[-1]], where="post", color=ACCENT, linewidth=1.8, label="best so far")
    axes.plot(xs, ys, "o", color=ACCENT, markersize=5.5)
    if failed:
        foot = axes.get_xaxis_transform()
        heights = [0.02] * len(failed)
        axes.plot(failed, heights, "x", color=INK, markersize=5, transform=foot, label="failed", clip_on=False)
    set_title(axes, f"best {ys[-1]:.6g}, trial {xs[-1]}")
    add_legend(axes)
    return figure


def plot_front(
    scored: Points, front: Points, cost: str = "parameters", write_cost: Callable[[float], str] | None = None
) -> Figure:
    """Draw score against a cost, with the front: the best score found at or below each cost.

    Args:
        scored: (cost, score) of every architecture.
        front: those of `scored` on the front, cheapest first.
        cost: the label of the axis.
        write_cost: how a cost is written on the axis; None for plain numbers.

    Returns:
        The figure.

    Raises:
        InputError: no architecture has a score.
        MissingExtraError: matplotlib is not installed.

    Example:
        >>> points = [(5e6, 1.0), (6e6, 0.5), (7e6, 3.0)]
        >>> figure = plot_front(points, front=[(5e6, 1.0), (7e6, 3.0)])
        >>> figure.axes[0].get_title(loc="left")
        '2 on the front'
    """
    _check_scored(scored)
    figure = new_figure(6.0, 4.4)
    axes = figure.subplots()
    label_axes(axes, cost, _SCORE)
    _draw_dots(axes, scored)
    xs, ys = _split(front)
    axes.step(xs, ys, "o-", where="post", color=ACCENT, linewidth=1.8, markersize=5.5, label="front")
    axes.plot(xs[-1:], ys[-1:], "o", color=ACCENT, markersize=12, fillstyle="none", label="best")
    if write_cost is not None:
        axes.xaxis.set_major_formatter(lambda value, _: write_cost(value))
    set_title(axes, f"{len(front):,} on the front")
    add_legend(axes)
    return figure


def _check_scored(points: Points) -> None:
    if not points:
        raise InputError("no trial has a score yet, so there is nothing to draw")


def _draw_dots(axes: Axes, points: Points) -> None:
    axes.scatter(*_split(points), s=16, color=MUTED, alpha=0.75, linewidths=0, label="scored")


def _split(points: Points) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
