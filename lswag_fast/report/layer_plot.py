"""The picture of a score: trainability and cardinality of every layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from lswag_fast.result import Score

_MAX_NAMED_LAYERS = 60  # beyond it the names on the axis would overlap


def plot_layers(score: Score) -> Figure:
    """Two bar charts over the layers in order of execution: Lambda_l above, Psi_l below."""
    places = range(len(score.layers))
    figure = Figure(figsize=(max(6.0, 0.22 * len(score.layers)), 6.0), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True)
    top.bar(places, [layer.trainability for layer in score.layers], color="tab:blue")
    top.set_ylabel(r"trainability $\Lambda_l$ (ln)")
    top.set_title(f"{score.proxy} = {score.value:.6g}   (B = {score.n_samples}, S = {score.n_pattern_samples})")
    bottom.bar(places, [layer.cardinality or 0 for layer in score.layers], color="tab:orange")
    bottom.set_ylabel(r"cardinality $\Psi_l$")
    if len(score.layers) <= _MAX_NAMED_LAYERS:
        names = [layer.name.removesuffix(".weight") for layer in score.layers]
        bottom.set_xticks(list(places), names, rotation=90, fontsize=7)
    else:
        bottom.set_xlabel("layer, in order of execution")
    return figure
