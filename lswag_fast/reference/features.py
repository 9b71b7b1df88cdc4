"""Proxies of features in float64, from the features themselves."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn


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


def meco(features: Iterable[Tensor]) -> float:
    """The sum of the least eigenvalues of the correlations between the channels of the first sample.

    `features` are (B, ..., C); correlations that do not exist are 0.

    Example:
        >>> import torch
        >>> round(meco([torch.tensor([[[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]])]), 6)  # uncorrelated
        1.0
    """
    return math.fsum(_least_eigenvalue(_of_first_sample(feature)) for feature in features)


def meco_opt(features: Iterable[Tensor], seed: int = 0) -> float:
    """The sum of C / 8 times the least eigenvalue of 8 random channels, drawn feature by feature from one generator.

    Example:
        >>> import torch
        >>> corners = torch.tensor([[[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]])
        >>> round(meco_opt([corners]), 6)  # of two channels both
        1.0
    """
    generator, total = torch.Generator().manual_seed(seed), 0.0
    for feature in features:
        channels = _of_first_sample(feature)
        chosen = torch.randperm(len(channels), generator=generator)[:8].tolist()
        total += _least_eigenvalue(channels[chosen]) * len(channels) / len(chosen)
    return total


def _of_first_sample(feature: Tensor) -> np.ndarray:
    """(C, P) of (B, ..., C)."""
    rows: np.ndarray = feature[0].reshape(-1, feature.shape[-1]).double().numpy()
    return rows.T


def _least_eigenvalue(channels: np.ndarray) -> float:
    if channels.shape[1] == 1:  # one position
        return 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        correlations = np.nan_to_num(np.atleast_2d(np.corrcoef(channels)))
    return float(np.linalg.eigvalsh(correlations)[0])


def head_confidence(probabilities: Sequence[Tensor]) -> float:
    """The mean over attention layers (..., T, S) of the mean of the largest probabilities.

    Example:
        >>> import torch
        >>> head_confidence([torch.tensor([[0.25, 0.75], [0.5, 0.5]])])
        0.625
    """
    return math.fsum(float(p.double().max(-1).values.mean()) for p in probabilities) / len(probabilities)


def w_pca(n_params: int, hidden: Iterable[Tensor]) -> float:
    """P times the components that explain more than .99 of the variance of each hidden feature (..., C).

    Example:
        >>> import torch
        >>> w_pca(10, [torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])])  # two alike
        20.0
    """
    total = 0
    for feature in hidden:
        rows = feature.flatten(0, -2).double().numpy()
        variances = np.linalg.svd(rows - rows.mean(0), compute_uv=False) ** 2
        explained, count = 0.0, 0
        while explained <= 0.99 * variances.sum() and count < len(variances) and variances.any():
            explained += variances[count]
            count += 1
        total += count
    return float(n_params * total)


def near(features: Iterable[Tensor], seed: int = 0) -> float:
    """The effective ranks of C random rows of each feature (..., C), added up.

    Example:
        >>> import torch
        >>> round(near([torch.eye(3)]), 6)
        3.0
    """
    total = 0.0
    for feature in features:
        rows = feature.flatten(0, -2).double()
        if len(rows) > rows.shape[1]:
            rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[: rows.shape[1]]]
        s = np.linalg.svd(rows.numpy(), compute_uv=False)
        shares = [value / s.sum() for value in s if value > 0]
        total += math.exp(-math.fsum(share * math.log(share) for share in shares)) if shares else 0.0
    return total


def dextr(features: Iterable[Tensor], curvature: float) -> float:
    """c k / (c + k), c = ln(1 + sum of the ratios of extreme singular values of the first sample), k = ln(1 + kappa).

    Example:
        >>> import math, torch
        >>> round(dextr([torch.eye(3)[None]], math.e - 1) * (1 / math.log(2) + 1), 6)
        1.0
    """
    total = 0.0
    for feature in features:
        s = np.linalg.svd(_of_first_sample(feature), compute_uv=False)
        total += s.min() / s.max() if s.max() > 0 else 0.0
    c, k = math.log(1 + total), math.log(1 + curvature)
    return c * k / (c + k) if c + k else 0.0


def mean_curvature(model: nn.Module, seed: int, shape: Sequence[int], n_points: int = 8) -> float:
    """The mean curvature of the outputs over the points of a circle in inputs of a shape, one output after the other.

    Example:
        >>> import torch
        >>> round(mean_curvature(nn.Identity(), 0, (2,)), 6)  # the unit circle itself
        1.0
    """
    model = copy.deepcopy(model).double()
    drawn = torch.randn(math.prod(shape), 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    u, w = torch.linalg.qr(drawn).Q.unbind(1)
    angle = torch.zeros((), dtype=torch.float64, requires_grad=True)
    angles = [angle + 2 * math.pi * k / n_points for k in range(n_points)]
    points = torch.stack([(u * t.cos() + w * t.sin()).reshape(tuple(shape)) for t in angles])
    curvatures = []
    for outputs in model(points).flatten(1):
        v = [torch.autograd.grad(output, angle, create_graph=True)[0] for output in outputs]
        a = torch.stack([torch.autograd.grad(slope, angle, retain_graph=True)[0] for slope in v])
        v_ = torch.stack(v).detach()
        curvatures.append(((v_ @ v_) * (a @ a) - (v_ @ a) ** 2).clamp(min=0).sqrt() / (v_ @ v_) ** 1.5)
    return float(torch.stack(curvatures).mean())
