"""L-SWAG: layer-sample-wise activation with gradient information (Casarin, Escalera, Lanz, CVPR 2025, Eq. 1).

    L-SWAG = Lambda x Psi,   Lambda = sum_l ln( sum_{w in theta_l} 1 / sigma_w ),   Psi = number of distinct patterns

with sigma_w the standard deviation of |dL/dw| over the samples. Higher is better. On a vision transformer every linear
weight and the patch projection count. Each takes the patterns of the activation that feeds it: the one from which its
input comes with the fewest weights in between, of several such ones the last; see `lswag_fast.observe.lineage`.

Example:
    >>> import torch, lswag_fast
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.ReLU(), torch.nn.Linear(64, 3))
    >>> batch = torch.randn(16, 8), torch.arange(16) % 3
    >>> found = lswag_fast.score(model, batch)
    >>> found.value == sum(layer.trainability * layer.cardinality for layer in found.layers)
    True
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import get_args

from lswag_fast.errors import InputError
from lswag_fast.options import Combine
from lswag_fast.passes.standard.measurements import LayerMeasurements, StandardMeasurements
from lswag_fast.proxies.registry import Measurements, register_proxy

COMBINES: tuple[Combine, ...] = get_args(Combine)


def trainability(sum_inv_sigma: float) -> float:
    """Lambda_l = ln sum 1/sigma of one layer; -inf for a layer in which no gradient varies.

    Example:
        >>> trainability(1.0), trainability(0.0)
        (0.0, -inf)
    """
    if math.isnan(sum_inv_sigma):
        return math.nan
    return math.log(sum_inv_sigma) if sum_inv_sigma > 0 else -math.inf


def combined(
    trainabilities: Sequence[float], cardinalities: Sequence[int], union_cardinality: int | None, combine: Combine
) -> float:
    """Combine the layers' Lambda_l and Psi_l into one score.

    Args:
        trainabilities: Lambda_l of each layer.
        cardinalities: Psi_l of each layer, the patterns of the activation that it is paired with.
        union_cardinality: the patterns of all layers in one set; only "product" needs it.
        combine: "layerwise", sum_l Lambda_l * Psi_l, the layer-wise product that the supplement (D.2) describes;
            "product", Eq. 1 read literally, (sum_l Lambda_l) * `union_cardinality`; "log", sum_l ln( Psi_l * sum_w
            1/sigma_w ) = sum_l (Lambda_l + ln Psi_l).

    Returns:
        The score.

    Example:
        >>> combined([1.0, 2.0], [3, 4], None, "layerwise")
        11.0
        >>> combined([1.0, 2.0], [3, 4], 5, "product")
        15.0
    """
    layers = list(zip(trainabilities, cardinalities, strict=True))
    if combine == "layerwise":
        return math.fsum(t * c for t, c in layers)
    if combine == "log":
        return math.fsum(t + math.log(c) for t, c in layers)
    if union_cardinality is None:
        raise TypeError("combine='product' needs union_cardinality")
    return math.fsum(trainabilities) * union_cardinality


def lswag(measurements: Measurements, combine: Combine = "layerwise") -> float:
    """sum_l Lambda_l Psi_l, Lambda_l = ln sum_w 1/sigma_w: trainability times cardinality, layer by layer.

    sigma_w is the standard deviation over the samples of the gradient of element w of a weight, Psi_l the number of
    distinct patterns of the activation that the weight is paired with (Casarin, Escalera, Lanz, CVPR 2025, Eq. 1).
    Elements and weights whose gradients do not vary are left out.

    Args:
        measurements: those of the standard pass.
        combine: how the layers make one score; see `combined`.

    Returns:
        Any real number; comparable only at the same batch size, number of pattern samples, data and options.

    Raises:
        InputError: another `combine`.
        NothingObservedError, NoActivationsError: there are no weights or no activations.
        ZeroVarianceError: no gradient varies over the samples.
        NonFiniteGradientError: a loss or a gradient is NaN or infinite.
    """
    if combine not in COMBINES:
        raise InputError(f"combine must be one of {', '.join(map(repr, COMBINES))}, got {combine!r}")
    standard = measurements.of(StandardMeasurements)
    layers = standard.varying_layers()
    standard.activations()
    pairs = [_paired(layer) for layer in layers]
    lambdas = [trainability(layer["sum_inv_sigma"]) for layer in layers]
    union = None
    if combine == "product":
        union = standard.patterns.union_cardinality(map(_paired, standard.all_layers))
    return combined(lambdas, [standard.patterns.cardinality(pair) for pair in pairs], union, combine)


def _paired(layer: LayerMeasurements) -> int:
    if layer.activation is None:
        raise TypeError("a pass with activations pairs every weight with one")
    return layer.activation


register_proxy(
    "lswag",
    lswag,
    needs={"standard": ("gradients", "patterns")},
    reference="Casarin, Escalera, Lanz, CVPR 2025, Eq. 1",
    summary="evenness of per-sample gradients times distinct activation patterns, layer by layer",
)
