"""Figures (matplotlib) from plain numbers. None is shown; save one with `figure.savefig(path)`.

Every function raises MissingExtraError without matplotlib (`pip install lswag-fast[plot]`).
"""

from lswag_fast.plots.heatmaps import plot_agreement, plot_correlations
from lswag_fast.plots.layers import plot_layer_study, plot_profile
from lswag_fast.plots.methods import plot_methods
from lswag_fast.plots.trials import plot_front, plot_history

__all__ = [
    "plot_agreement",
    "plot_correlations",
    "plot_front",
    "plot_history",
    "plot_layer_study",
    "plot_methods",
    "plot_profile",
]
