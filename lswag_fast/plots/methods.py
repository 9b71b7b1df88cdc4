"""Methods side by side: the accuracy of what each of them found, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lswag_fast.errors import InputError
from lswag_fast.plots.style import ACCENT, LINE, MUTED, label_axes, new_figure, set_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Found = Sequence[tuple[float, float, float]]
"""Of each seed the accuracy, and the ends of its interval."""


def plot_methods(found: Mapping[str, Found], measured: str = "test accuracy") -> Figure:
    """Draw the accuracies that methods reached, one dot with its interval for each seed, and the mean.

    Args:
        found: {method: accuracies}, from above to below.
        measured: what the accuracies are.

    Raises:
        InputError: there is nothing to draw.
        MissingExtraError: matplotlib is not installed.

    Example:
        >>> figure = plot_methods({"random": [(0.9, 0.88, 0.92)], "L-SWAG-NAS": [(0.95, 0.93, 0.97)]})
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['random', 'L-SWAG-NAS']
    """
    if not any(found.values()):
        raise InputError("there is no accuracy to draw")
    figure = new_figure(7.6, 1.2 + 0.5 * len(found))
    axes = figure.subplots()
    label_axes(axes, measured, "")
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=LINE, linewidth=0.8)
    for place, accuracies in enumerate(found.values()):
        step = 0.5 / max(1, len(accuracies))
        for number, (value, low, high) in enumerate(accuracies):
            height = place + (number - (len(accuracies) - 1) / 2) * step
            axes.plot([low, high], [height, height], color=MUTED, linewidth=1.2)
            axes.plot([value], [height], "o", color=MUTED, markersize=4)
        if accuracies:
            mean = sum(value for value, _, _ in accuracies) / len(accuracies)
            axes.plot([mean], [place], "D", color=ACCENT, markersize=7)
    axes.set_yticks(range(len(found)), labels=list(found))
    axes.invert_yaxis()
    set_title(axes, "dots: seeds with their 95 % intervals, diamond: mean")
    return figure
