"""The proxies of the network's size that are more than one call of torch."""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import Tensor


def l2_norm(weights: Iterable[Tensor]) -> float:
    """sum_l ||W_l||_2, the Frobenius norms of the weights.

    Example:
        >>> import torch
        >>> l2_norm([torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0]])])
        6.0
    """
    return math.fsum(float(weight.detach().double().square().sum().sqrt()) for weight in weights)
