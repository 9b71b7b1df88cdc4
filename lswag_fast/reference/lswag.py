"""L-SWAG (Casarin, Escalera, Lanz, CVPR 2025, arXiv 2505.07300), from per-sample gradients and activations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from lswag_fast.reference.kernels import gradient_statistics, neuron_patterns


def trainability(gradients: Tensor, gradient: Literal["abs", "signed"] = "abs") -> float:
    """Lambda_l = ln sum_w 1/sigma_w (Eq. 1) of one layer's per-sample gradients (B, ...).

    Example:
        >>> import torch
        >>> trainability(torch.tensor([[1.0], [3.0]]))  # sigma = 1
        0.0
    """
    return math.log(gradient_statistics(gradients, gradient=gradient)["sum_inv_sigma"])


def n_pattern_samples(n_samples: int, n_neurons: int) -> int:
    """S = min(B, ceil(log2 V) + 2), V the neurons of the largest activation (our choice; the paper names none).

    Example:
        >>> n_pattern_samples(64, 1024), n_pattern_samples(8, 1024)
        (12, 8)
    """
    return min(n_samples, math.ceil(math.log2(n_neurons)) + 2)


def lswag(
    gradients: Sequence[Tensor],
    activations: Sequence[Tensor],
    pairs: Sequence[int],
    n_samples: int,
    combine: Literal["layerwise", "product", "log"] = "layerwise",
    gradient: Literal["abs", "signed"] = "abs",
) -> float:
    """L-SWAG from per-sample gradients of each weight, the activations (B, ...), and each weight's activation.

    "layerwise": sum_l Lambda_l Psi_l. "product": Eq. 1 read literally, with the union of the paired activations'
    patterns. "log": sum_l ln(Psi_l sum_w 1/sigma_w). `n_samples` is S.

    Example:
        >>> import torch
        >>> gradients = torch.tensor([[1.0, 0.0], [3.0, 4.0]])  # sum of 1/sigma 1.5
        >>> activation = torch.tensor([[1.0, -1.0], [1.0, 1.0]])  # two patterns
        >>> lswag([gradients], [activation], [0], n_samples=2) == 2 * math.log(1.5)
        True
    """
    lambdas = [trainability(g, gradient) for g in gradients]
    sets = [neuron_patterns(activations[pair], n_samples) for pair in pairs]
    if combine == "product":
        return math.fsum(lambdas) * len(set().union(*sets))
    if combine == "log":
        return math.fsum(lam + math.log(len(p)) for lam, p in zip(lambdas, sets, strict=True))
    return math.fsum(lam * len(p) for lam, p in zip(lambdas, sets, strict=True))
