"""NWOT and SWAP from the activations of a forward pass, each (B, ...)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from lswag_fast.reference.kernels import agreement, neuron_patterns


def nwot(activations: Sequence[Tensor]) -> float:
    """ln |det K|, K = sum over the activations of x x^T + (1-x)(1-x)^T, x = 1[a > 0] (B, V).

    Example:
        >>> round(nwot([torch.tensor([[1.0, -1.0, 1.0], [1.0, 1.0, -1.0]])]), 6)  # ln(3 * 3 - 1 * 1)
        2.079442
    """
    kernel = sum((agreement(a, a.shape[0]) for a in activations), start=torch.zeros(()))
    return float(torch.linalg.slogdet(kernel).logabsdet)


def swap(activations: Iterable[Tensor], n_samples: int) -> int:
    """Distinct neuron patterns of all activations in one set, over the first S samples.

    Example:
        >>> swap([torch.tensor([[1.0, -1.0], [1.0, 1.0]])], n_samples=2)
        2
    """
    return len(set().union(*(neuron_patterns(a, n_samples) for a in activations)))


def reg_swap(activations: Iterable[Tensor], n_samples: int, n_params: int, mu: float, sigma: float) -> float:
    """ln Psi - (P - mu)^2 / sigma, P in millions of parameters.

    Example:
        >>> reg_swap([torch.tensor([[1.0], [1.0]])], n_samples=2, n_params=3_000_000, mu=1.0, sigma=2.0)
        -2.0
    """
    return math.log(swap(activations, n_samples)) - (n_params / 1e6 - mu) ** 2 / sigma
