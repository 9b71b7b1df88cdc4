"""VKDNW: how evenly a network knows its weights, by the spectrum of their Fisher information.

Tybl, Neumann, "Training-free Neural Architecture Search through Variance of Knowledge of Deep Network Weights", CVPR
2025. Higher is better. On vision transformers as on CNNs.

Departures from the published code: the scalars are the first elements of the weights of observed calls, there of every
parameter, biases and the scales of norms too (`scalars="all"`), which needs a backward for each sample and class, where
weights need one for each class; the samples are those of the batch, there random images; and J is multiplied by a root
of the covariance of the classes, there by the transpose of that root.

Example:
    >>> import torch, lswag_fast
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
    >>> batch = torch.randn(4, 8), torch.tensor([0, 1, 2, 0])
    >>> scores = lswag_fast.score_many(model, batch, proxies=["vkdnw", "vkdnw_single"])
    >>> round(scores["vkdnw_single"].value - scores["vkdnw"].value, 6)  # two weights and two biases
    4.0
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor

from lswag_fast.errors import InputError, NonFiniteGradientError, ZeroSaliencyError
from lswag_fast.passes.empirical_fisher import EmpiricalFisherMeasurements
from lswag_fast.passes.shared.checks import RESCUE
from lswag_fast.proxies import az_nas, jacobian, size  # noqa: F401 - register the parts of the whole
from lswag_fast.proxies.registry import Measurements, register_proxy, register_ranked

_OFFSET = 1e-10
"""The published constant in the normalisation and the logarithm."""


Scalars = Literal["weights", "all"]
"""Whose first elements the matrix is of: of observed weights, or of all parameters."""


def vkdnw(measurements: Measurements, scalars: Scalars = "weights") -> float:
    """-sum_k q_k ln(q_k + 1e-10), q the deciles .1 to .9 of the singular values of the Fisher matrix, over their sum.

    To that sum, too, 1e-10 is added.

    The matrix is that of one scalar of each of up to 128 weights: the mean over the samples of
    J^T (diag(p) - p p^T) J, J the derivatives of the logits in the scalars, p the softmax smoothed by .05.

    Its price is a backward for each class; with all parameters a forward of each sample by itself, and a backward for
    each class of each sample.

    Args:
        measurements: of the empirical_fisher pass.
        scalars: "weights", of the weights of observed calls, or "all", of all parameters that ask for a gradient, as
            published, biases and the scales of norms among them.

    Returns:
        A number in [0, ln 9].

    Raises:
        NothingObservedError: no weight could be observed.
        NonFiniteGradientError: the gradients of the logits hold NaN or infinite values.
        ZeroSaliencyError: the logits depend on less than about a tenth of the scalars, or the samples are so few, so
            that all deciles are 0 but for rounding.
        InputError: the model does not return logits (B, C), or `scalars` is another word.
    """
    information = _information(measurements, scalars)
    if not bool(torch.isfinite(information).all()):
        raise NonFiniteGradientError("vkdnw: the gradients of the logits hold NaN or infinite values")
    values = torch.linalg.svdvals(information)
    rounding = len(values) * torch.finfo(values.dtype).eps * values[0]  # as of the rank of a matrix
    values = torch.where(values > rounding, values, 0.0)
    deciles = torch.quantile(values, torch.arange(1, 10, dtype=values.dtype, device=values.device) / 10)
    if float(deciles.sum()) == 0:
        raise ZeroSaliencyError(
            f"vkdnw: the logits depend on the first elements of too few {_OF[scalars]} for any decile to be above 0, "
            "or the samples are too few: of B samples and C classes at most B (C - 1) singular values are above 0. "
            f"{RESCUE}"
        )
    q = deciles / (deciles.sum() + _OFFSET)
    return -float((q * (q + _OFFSET).log()).sum())


_OF = {"weights": "weights", "all": "parameters"}


def _information(measurements: Measurements, scalars: Scalars) -> Tensor:
    if scalars not in get_args(Scalars):
        raise InputError(f"vkdnw: scalars must be 'weights' or 'all', got {scalars!r}")
    found = measurements.of(EmpiricalFisherMeasurements)
    information = found.information if scalars == "weights" else found.information_of_all
    if information is None:
        raise TypeError(f"the empirical_fisher pass did not measure the information of {_OF[scalars]}")
    return information


def vkdnw_single(measurements: Measurements, scalars: Scalars = "weights") -> float:
    """The number of parameter tensors plus `vkdnw`, which so tells apart networks of one depth.

    Args:
        measurements: of the empirical_fisher pass.
        scalars: as of `vkdnw`.

    Returns:
        A number in [N, N + ln 9], N the number of parameter tensors.

    Raises:
        NothingObservedError, NonFiniteGradientError, ZeroSaliencyError, InputError: as `vkdnw`.
    """
    return measurements.of(EmpiricalFisherMeasurements).n_parameters + vkdnw(measurements, scalars)


_VKDNW = "Tybl, Neumann, CVPR 2025"
_NEEDS: dict[str, Any] = {
    "needs": {"empirical_fisher": ("information",)},
    "needs_by_option": {"scalars": {"all": {"empirical_fisher": ("information_of_all",)}}},
}
register_proxy(
    "vkdnw",
    vkdnw,
    **_NEEDS,
    reference=_VKDNW,
    summary="entropy of the spectrum of the Fisher information of the weights",
)
register_proxy(
    "vkdnw_single",
    vkdnw_single,
    **_NEEDS,
    reference=_VKDNW,
    summary="that entropy and the number of parameter tensors, added",
)
register_ranked(
    "vkdnw_agg",
    parts=("vkdnw_single", "jacov", "az_nas_expressivity", "az_nas_trainability", "flops"),
    aggregate="log_rank",
    reference=_VKDNW,
    summary="ranks of vkdnw_single, jacov and three parts of az_nas, their logarithms added",
)
