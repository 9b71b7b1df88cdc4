"""AZ-NAS on a float64 copy of the model, from the features of its blocks."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

Features = Callable[[nn.Module, Tensor], Sequence[Tensor]]


def block_features(
    model: nn.Module, shape: tuple[int, ...], features: Features, seed: int = 0, dtype: torch.dtype = torch.float64
) -> tuple[list[Tensor], torch.Generator]:
    """Run a copy of the model, in train mode if it has BatchNorm, in eval mode otherwise.

    Args:
        model: left as it is.
        shape: of the inputs ~ N(0, 1), (B, ...).
        features: maps a model and its inputs to the features of its blocks.
        seed: of the inputs.
        dtype: of the copy.

    Returns:
        The features, and the generator, which then draws the signs of `trainability`.

    Example:
        >>> features, generator = block_features(nn.Linear(2, 3), (4, 2), lambda model, x: [x, model(x)])
        >>> [tuple(feature.shape) for feature in features]
        [(4, 2), (4, 3)]
    """
    model = copy.deepcopy(model).to(dtype)
    model.train(any(isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)) for m in model.modules()))
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator).to(dtype).requires_grad_()
    return list(features(model, x)), generator


def entropies(features: Sequence[Tensor]) -> list[float]:
    """-sum p ln(p + 1e-8) of each feature (B, C, H, W) or (B, T, C), p the eigenvalues of the channels' covariance over
    their sum.

    Example:
        >>> found = entropies([torch.tensor([[[1.0, 0.0]], [[-1.0, 0.0]], [[0.0, 1.0]], [[0.0, -1.0]]])])
        >>> round(found[0], 6)  # ln 2: both channels vary alike
        0.693147
    """
    found = []
    for feature in features:
        rows = _channels_last(feature.detach()).flatten(0, -2).numpy()
        v = np.linalg.eigvalsh(np.cov(rows, rowvar=False, bias=True).astype(float))
        found.append(-math.fsum(p * math.log(p + 1e-8) for p in v / v.sum()))
    return found


def expressivity(entropies: Sequence[float]) -> float:
    """The sum of the entropies.

    Example:
        >>> expressivity([1.0, 2.5])
        3.5
    """
    return math.fsum(entropies)


def progressivity(entropies: Sequence[float]) -> float:
    """The least growth from one entropy to the next.

    Example:
        >>> progressivity([1.0, 2.5, 3.0])
        0.5
    """
    return min(b - a for a, b in pairwise(entropies))


def trainability(features: Sequence[Tensor], generator: torch.Generator) -> float:
    """mean of -s - 1/(s + 1e-6) + 2, s the largest singular value of the mean over positions of g_in g_out^T; signs
    g_out are drawn from the last feature to the second.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> with torch.no_grad():
        ...     _ = model.weight.fill_(1.0)
        >>> features, generator = block_features(model, (4, 1, 1), lambda model, x: [x, model(x)])
        >>> round(trainability(features, generator), 5)  # s = 1
        0.0
    """
    scores = []
    for before, after in list(pairwise(features))[::-1]:
        g_out = (torch.randint(2, after.shape, generator=generator) * 2 - 1).to(after)
        (g_in,) = torch.autograd.grad(after, before, g_out, retain_graph=True)
        if g_in.dim() == 4:
            g_in = _as_coarse(g_in, g_out.shape[2])
        outer = _channels_last(g_in)[..., :, None] * _channels_last(g_out)[..., None, :]
        s = float(torch.linalg.svdvals(outer.flatten(0, -3).mean(0).double()).max())
        scores.append(-s - 1 / (s + 1e-6) + 2)
    return sum(scores) / len(scores)


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.movedim(1, -1) if tensor.dim() == 4 else tensor


def _as_coarse(image: Tensor, side: int) -> Tensor:
    """(B, C, r h, r w) as (B, C r r, h, w): the pixels that became one are its channels, in row-major order."""
    r = image.shape[2] // side
    cells = image.unfold(2, r, r).unfold(3, r, r)  # (B, C, h, w, r, r)
    return cells.movedim((4, 5), (2, 3)).flatten(1, 3)
