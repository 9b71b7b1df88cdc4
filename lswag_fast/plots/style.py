"""What all figures share: matplotlib where it is installed, the colours, axes that do not shout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lswag_fast.errors import needs_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The light palette of the report's page.
ACCENT, INK, SOFT, MUTED, LINE, AGAINST = "#c2410c", "#1d2126", "#5b626b", "#8b939c", "#e2e3e1", "#3f6ea3"
SERIES = (ACCENT, "#3f4750", MUTED, "#e79a6f", "#5f7f9e", "#b8b3aa")
MARKERS = "oDs^Pv"


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches; it belongs to no window.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with needs_extra("plot", "matplotlib"):
        from matplotlib.figure import Figure
    return Figure(figsize=(width, height), layout="constrained")


def label_axes(axes: Axes, x: str, y: str) -> None:
    """Name both axes; leave two thin lines as the frame, and a light grid."""
    axes.set_xlabel(x, color=SOFT)
    axes.set_ylabel(y, color=SOFT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(MUTED)
    axes.tick_params(colors=SOFT)
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)


def set_title(axes: Axes, text: str) -> None:
    """Write a title above the left end of the axes."""
    axes.set_title(text, loc="left", color=INK, fontsize=11, fontweight="bold")


def add_legend(axes: Axes) -> None:
    """Put the legend above the plot, to the right of the title: it never covers a point."""
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, fontsize=9, labelcolor=SOFT)
