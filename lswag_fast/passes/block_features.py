"""The block features pass: the features of a network on noise, and how gradients go from one to the one before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lswag_fast.data.batch import Batch
from lswag_fast.errors import InputError, NonFiniteGradientError
from lswag_fast.observe import fast_linear_layers
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.registry import Pass
from lswag_fast.passes.shared.checks import model_errors, refuse_chunks
from lswag_fast.passes.shared.features import feature_tensors, smaller_products
from lswag_fast.passes.shared.preserve import preserve_model_state
from lswag_fast.random_state import drawn_normal

_LOG_OFFSET = 1e-8
"""The published constant in the logarithm of the entropy."""
_IMAGE_DIMS = 4


@dataclass(frozen=True)
class BlockFeatureMeasurements:
    """The features of blocks on noise; what was not asked for is empty.

    Attributes:
        entropies: of each feature, in order, -sum p ln(p + 1e-8), p the eigenvalues of the covariance of its channels
            over their sum; NaN where nothing varies (statistic "entropies").
        spectral_norms: of each feature and the one before it, the largest singular value of g_in^T g_out / positions,
            g_out random signs at the later one and g_in their gradient at the earlier one; None where g_in is g_out
            (statistic "spectral_norms").
    """

    entropies: tuple[float, ...]
    spectral_norms: tuple[float | None, ...]


def run_block_features(
    model: nn.Module, batch: Batch, options: ScoreOptions, statistics: frozenset[str]
) -> BlockFeatureMeasurements:
    """Run the features of inputs ~ N(0, 1), and differentiate each in the one before.

    Every floating-point input that holds samples becomes noise of its shape; other inputs stay. As in the published
    scripts a network with BatchNorm runs in train mode, another in eval mode; the weights are the model's own. Noise,
    then the signs from the last feature to the second, are drawn in float32 from one generator seeded by
    `options.seed`. `options.features` names the features, by default `model.block_features`: (B, C, H, W), or with the
    channels last, (B, T, C) and (B, C).

    Raises:
        InputError: inputs without floating-point samples, features that cannot be had, fewer than two of them, other
            shapes, features that do not depend on the one before, or a chunk size.
        NonFiniteGradientError: a feature, or the gradient from one to the one before, is NaN or infinite.
        UnsupportedModelError: the model fails on noise.
    """
    refuse_chunks(options, "block_features")
    generator = torch.Generator().manual_seed(options.seed)

    def noise(x: Tensor) -> Tensor:
        return drawn_normal(x.shape, generator).to(x).requires_grad_().clone()  # in place on a leaf raises

    with preserve_model_state(model, options.seed):
        inputs = batch.map_samples(noise, "the block_features pass puts noise in the place of the inputs").inputs
        model.train(any(isinstance(module, _BatchNorm) for module in model.modules()))
        with fast_linear_layers(model, frozen=True):  # the gradients of features are asked for, not those of weights
            with model_errors("block_features", "on noise"):
                features = feature_tensors(
                    model,
                    inputs,
                    options.features,
                    "the block_features pass needs the features of the blocks",
                    "block_features",
                )
            _check(features)
            entropies = [_entropy(f.detach()) for f in features] if "entropies" in statistics else []
            norms = _spectral_norms(features, generator) if "spectral_norms" in statistics else []
    return BlockFeatureMeasurements(tuple(entropies), tuple(norms))


def _check(features: Sequence[Tensor]) -> None:
    if len(features) < 2:  # a pair
        raise InputError(
            f"the block_features pass compares features with the ones before, and found {len(features)}; name more"
        )
    for position, feature in enumerate(features):
        if not 2 <= feature.dim() <= _IMAGE_DIMS:
            raise InputError(
                f"block_features pass: feature {position} has shape {tuple(feature.shape)}; "
                "(B, C, H, W), (B, T, C) or (B, C) are known"
            )
        if not bool(feature.isfinite().all()):
            raise NonFiniteGradientError(
                f"block_features pass: feature {position} of shape {tuple(feature.shape)} has NaN or infinite values"
            )


def _rows(feature: Tensor) -> Tensor:
    """(B, C, H, W), (B, T, C) or (B, C) as rows of channels, (positions, C) float64."""
    channels_last = feature.movedim(1, -1) if feature.dim() == _IMAGE_DIMS else feature
    return channels_last.flatten(0, -2).double()


def _entropy(feature: Tensor) -> float:
    rows = _rows(feature)
    if bool((rows == rows[:1]).all()):  # nothing varies, however the mean is rounded
        return math.nan
    eigenvalues = torch.linalg.eigvalsh(smaller_products(rows - rows.mean(0)))
    p = eigenvalues / eigenvalues.sum()
    return -float((p * (p + _LOG_OFFSET).log()).sum())


def _spectral_norms(features: Sequence[Tensor], generator: torch.Generator) -> list[float | None]:
    """From the second feature to the last; signs are drawn from the last to the second."""
    norms: list[float | None] = []
    for position in range(len(features) - 1, 0, -1):
        before, feature = features[position - 1], features[position]
        g_out = _signs(feature, generator)
        g_in = _gradient(before, feature, g_out, position)
        norms.append(None if torch.equal(g_in, g_out) else _spectral_norm(g_in, g_out, position))
    return norms[::-1]


def _signs(like: Tensor, generator: torch.Generator) -> Tensor:
    return (torch.randint(2, like.shape, generator=generator, device="cpu") * 2 - 1).to(like)


def _gradient(before: Tensor, feature: Tensor, g_out: Tensor, position: int) -> Tensor:
    found = None
    if feature.requires_grad and before.requires_grad:
        (found,) = torch.autograd.grad(feature, before, g_out, retain_graph=True, allow_unused=True)
    if found is None:
        raise InputError(
            f"block_features pass: feature {position} does not depend on the one before it; name those of a chain"
        )
    return found


def _spectral_norm(g_in: Tensor, g_out: Tensor, position: int) -> float:
    if g_in.dim() == g_out.dim() == _IMAGE_DIMS and g_in.shape[2:] != g_out.shape[2:]:
        stride = g_in.shape[2] // g_out.shape[2]
        if stride < 1 or [side * stride for side in g_out.shape[2:]] != list(g_in.shape[2:]):
            raise InputError(
                f"block_features pass: feature {position} of {tuple(g_out.shape)} is no whole reduction of the one "
                f"before, {tuple(g_in.shape)}"
            )
        g_in = F.pixel_unshuffle(g_in, stride)  # the pixels that became one position are its channels
    rows_in, rows_out = _rows(g_in), _rows(g_out)
    if len(rows_in) != len(rows_out):
        raise InputError(
            f"block_features pass: feature {position} of {tuple(g_out.shape)} has other positions than the one before, "
            f"{tuple(g_in.shape)}"
        )
    if not bool(g_in.isfinite().all()):
        raise NonFiniteGradientError(
            f"block_features pass: the gradient from feature {position} to the one before has NaN or infinite values"
        )
    return _product_norm(rows_in, rows_out) / len(rows_out)


def _product_norm(a: Tensor, b: Tensor) -> float:
    """The largest singular value of a^T b, a (N, C) and b (N, D).

    The eigenvalues of products take a fraction of the time of a singular value decomposition, and the largest is as
    exact. Of fewer positions than channels only the N x N factors of a^T and b^T count: what they multiply is
    orthogonal.
    """
    if len(a) < min(a.shape[1], b.shape[1]):
        a, b = torch.linalg.qr(a.t(), mode="r").R.t(), torch.linalg.qr(b.t(), mode="r").R.t()
    product = a.t() @ b
    largest = product.abs().max()
    if largest == 0:
        return 0.0
    return float(torch.linalg.eigvalsh(smaller_products(product / largest))[-1].sqrt() * largest)


PASS = Pass(
    "block_features",
    run_block_features,
    ("entropies", "spectral_norms"),
    "one forward of noise, and a backward from each feature to the one before",
)
