"""Proxies of features in float64, from the features themselves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from torch import Tensor


def intrain(activations: Sequence[Tensor], gradients: Iterable[Tensor]) -> float:
    """gamma (1 + o) / ln(L + 1) of L activations (..., C) and of the batch's gradients of the weights.

    Example:
        >>> import torch
        >>> corners = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])  # both channels vary alike
        >>> round(intrain([corners], [torch.tensor([1.0, -1.0])]), 6)  # ln 2 (1 + 1) / ln 2
        2.0
    """
    gamma = 0.0
    for activation in activations:
        covariance = np.atleast_2d(np.cov(activation.flatten(0, -2).double().numpy(), rowvar=False, bias=True))
        squares = np.trace(covariance @ covariance)
        gamma += math.log(np.trace(covariance) ** 2 / squares) if squares > 0 else 0.0
    o = sum(float(g.double().std(correction=0) / g.double().abs().max()) for g in gradients if bool(g.any()))
    return gamma * (1 + o) / math.log(len(activations) + 1)
