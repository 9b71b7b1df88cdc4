"""ZiCo (Li et al., ICLR 2023) and xi-GSNR (Sun et al., ICML 2023), from per-sample gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor


def zico(gradients: Sequence[Tensor], sigma: str = "signed") -> float:
    """sum_l ln sum_w E|g| / sigma (Eq. 15) from each weight's gradients over the samples or batches, (N, ...).

    sigma is the population standard deviation of g ("signed", the official code) or of |g| ("abs"); elements that never
    vary, and weights without any other, are left out.

    Example:
        >>> import torch
        >>> zico([torch.tensor([[1.0], [3.0]])]) == math.log(2)  # mean 2, standard deviation 1
        True
    """
    total = 0.0
    for g in gradients:
        spread = (g if sigma == "signed" else g.abs()).std(0, unbiased=False)
        ratios = (g.abs().mean(0) / spread)[spread > 0]
        total += math.log(float(ratios.sum())) if ratios.numel() else 0.0
    return total


def xi_gsnr(gradients: Sequence[Tensor], xi: float = 1e-8) -> float:
    """sum_w (E g)^2 / (Var g + xi) from each weight's gradients, (N, ...); a weight that never varies gives 0.

    Example:
        >>> import torch
        >>> xi_gsnr([torch.tensor([[1.0], [3.0]])], xi=0.0)
        4.0
    """
    varying = [g for g in gradients if bool((g != g[:1]).any())]
    return math.fsum(float((g.mean(0).square() / (g.var(0, unbiased=False) + xi)).sum()) for g in varying)
