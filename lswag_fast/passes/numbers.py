"""The per-layer numbers that a proxy's statistic sees: everything of a pass that is worth keeping."""

from __future__ import annotations

from dataclasses import dataclass

from lswag_fast.passes.collect import PieceStatistics, percentile
from lswag_fast.passes.patterns import feeding_activation
from lswag_fast.passes.standard import StandardPass


@dataclass(frozen=True)
class LayerNumbers:
    """One observed weight, in order of execution.

    `depth` is l/L for the l-th of the pass's L observable weights, `percentile` its bin (Eq. 6). `n_weights` counts
    the elements of the weight. `sum_inv_sigma` is the sum of 1/sigma over the elements with a finite, positive
    variance, scaled up from the rows looked at; `n_zero_variance` and `n_nonfinite` count in the rows looked at,
    `n_finite_variance` the elements that made the sum. `activation` is the position of the activation it is paired
    with.
    """

    name: str
    kind: str
    depth: float
    percentile: int
    n_weights: int
    sum_inv_sigma: float
    n_zero_variance: int
    n_nonfinite: int
    n_finite_variance: int
    activation: int


def layer_numbers(done: StandardPass) -> tuple[LayerNumbers, ...]:
    """The numbers of every observed weight of the chosen layers; the pieces of one parameter are added up."""
    names = done.collector.names
    indices = [activation.index for activation in done.patterns.activations]
    rows = []
    for position, name in enumerate(names, 1):
        pieces = list(done.collector.pieces.get(name, {}).values())
        if not pieces:
            continue
        activation = feeding_activation(min(p.index for p in pieces), indices)
        kind = done.collector.kinds[name]
        rows.append(_layer(name, kind, position / len(names), percentile(position, len(names)), activation, pieces))
    return tuple(rows)


def _layer(
    name: str, kind: str, depth: float, bin_: int, activation: int, pieces: list[PieceStatistics]
) -> LayerNumbers:
    stats = [(piece, piece.stats) for piece in pieces if piece.stats is not None]
    return LayerNumbers(
        name=name,
        kind=kind,
        depth=depth,
        percentile=bin_,
        n_weights=sum(piece.n_weights for piece in pieces),
        sum_inv_sigma=sum(s.sum_inv_sigma * piece.scale for piece, s in stats),
        n_zero_variance=sum(s.n_zero_variance for _, s in stats),
        n_nonfinite=sum(s.n_nonfinite for _, s in stats),
        n_finite_variance=sum(s.n_weights - s.n_zero_variance - s.n_nonfinite for _, s in stats),
        activation=activation,
    )
