"""L-SWAG: layer-sample-wise activation with gradient information (Casarin, Escalera, Lanz, CVPR 2025, Eq. 1).

    L-SWAG = Lambda x Psi,   Lambda = sum_l ln( sum_{w in theta_l} 1 / sigma_w ),   Psi = number of distinct patterns

with sigma_w the standard deviation of |dL/dw| over the samples. Higher is better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

Combine = Literal["layerwise", "product", "log"]
COMBINES: tuple[Combine, ...] = ("layerwise", "product", "log")


def trainability(sum_inv_sigma: float) -> float:
    """Lambda_l = ln sum 1/sigma of one layer; -inf for a layer in which no gradient varies."""
    if math.isnan(sum_inv_sigma):
        return math.nan
    return math.log(sum_inv_sigma) if sum_inv_sigma > 0 else -math.inf


def lswag(
    trainabilities: Sequence[float], cardinalities: Sequence[int], union_cardinality: int | None, combine: Combine
) -> float:
    """Combine the layers' Lambda_l and Psi_l into one score; layers without variance (Lambda_l = -inf) are left out.

    "layerwise": sum_l Lambda_l * Psi_l, the layer-wise product that the supplement (D.2) describes.
    "product": Eq. 1 read literally, (sum_l Lambda_l) * `union_cardinality`, the patterns of all layers in one set.
    "log": sum_l ln( Psi_l * sum_w 1/sigma_w ) = sum_l (Lambda_l + ln Psi_l).
    """
    layers = [(t, c) for t, c in zip(trainabilities, cardinalities, strict=True) if t != -math.inf]
    if combine == "layerwise":
        return math.fsum(t * c for t, c in layers)
    if combine == "log":
        return math.fsum(t + math.log(c) for t, c in layers)
    if union_cardinality is None:
        raise TypeError("combine='product' needs union_cardinality")
    return math.fsum(t for t, _ in layers) * union_cardinality
