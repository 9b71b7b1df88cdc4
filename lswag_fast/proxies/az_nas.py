"""AZ-NAS: expressivity, progressivity and trainability of a network's blocks, its complexity, and the ranks of all.

Lee, Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search", CVPR 2024. Higher is better. The
complexity is the proxy `flops`. The features are those of the blocks, on noise. Signs and noise are drawn from the
seed.

Departure from the paper: the weights are the model's own, where the published script for CNNs draws them anew (Kaiming,
fan-in).

Example:
    >>> import torch, lswag_fast
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 16), torch.nn.ReLU())
    >>> batch = torch.randn(4, 8), torch.arange(4)
    >>> scores = lswag_fast.score_many(model, batch, proxies=["az_nas"], features="[13]")
    >>> [name.removeprefix("az_nas_") for name in scores]
    ['expressivity', 'progressivity', 'trainability', 'flops']
"""

from __future__ import annotations

import math
from itertools import pairwise

from lswag_fast.passes.block_features import BlockFeatureMeasurements
from lswag_fast.proxies import size  # noqa: F401 - registers flops, the complexity
from lswag_fast.proxies.registry import Measurements, register_proxy, register_ranked

_OFFSET = 1e-6
"""The published constant in the reciprocal of the trainability."""


def az_nas_expressivity(measurements: Measurements) -> float:
    """The entropy of the features, summed over the features.

    The entropy of one feature is -sum p ln(p + 1e-8), p the normalised eigenvalues of the covariance of its C channels.

    Returns:
        A number in [0, sum ln C]; it grows with the number of blocks and their channels.
    """
    return math.fsum(measurements.of(BlockFeatureMeasurements).entropies)


def az_nas_progressivity(measurements: Measurements) -> float:
    """The least growth of the entropy of `az_nas_expressivity` from one feature to the next.

    Published for CNNs, whose stages widen; on a vision transformer, all of one width, it says little.

    Returns:
        Any real number, below 0 where a block narrows.
    """
    return min(after - before for before, after in pairwise(measurements.of(BlockFeatureMeasurements).entropies))


def az_nas_trainability(measurements: Measurements) -> float:
    """The mean over the features of -s - 1/(s + 1e-6) + 2.

    s is the largest singular value of the map from the gradient at one feature to that at the one before, found with
    random signs.

    Returns:
        At most about 0, reached where s = 1. -inf, as published for CNNs, when a feature is the unchanged one before;
        such a network is not ranked.
    """
    scores = [
        -math.inf if s is None else -s - 1 / (s + _OFFSET) + 2  # at s = 1 this is about 0
        for s in measurements.of(BlockFeatureMeasurements).spectral_norms
    ]
    return sum(scores) / len(scores)


_AZ_NAS = "Lee, Ham, CVPR 2024"
register_proxy(
    "az_nas_expressivity",
    az_nas_expressivity,
    needs={"block_features": ("entropies",)},
    reference=_AZ_NAS,
    summary="entropy of the principal components of the blocks' features",
)
register_proxy(
    "az_nas_progressivity",
    az_nas_progressivity,
    needs={"block_features": ("entropies",)},
    reference=_AZ_NAS,
    summary="least growth of that entropy from block to block",
)
register_proxy(
    "az_nas_trainability",
    az_nas_trainability,
    needs={"block_features": ("spectral_norms",)},
    reference=_AZ_NAS,
    summary="how well each block keeps the size of gradients",
)
register_ranked(
    "az_nas",
    parts=("az_nas_expressivity", "az_nas_progressivity", "az_nas_trainability", "flops"),
    aggregate="log_rank",
    reference=_AZ_NAS,
    summary="ranks of the three and of flops, their logarithms added: the form for CNNs",
)
register_ranked(
    "az_nas_vit",
    parts=("az_nas_expressivity", "az_nas_trainability", "flops"),
    aggregate="log_rank",
    reference=_AZ_NAS,
    summary="the same without the progressivity: the form for vision transformers",
)
