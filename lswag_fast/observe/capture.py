"""What is kept of a forward pass, and what of an activation: its packed signs and the agreements of its samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lswag_fast import kernels
from lswag_fast.observe.calls import ActivationCall
from lswag_fast.observe.samples.axis import AxisCandidates

KERNEL_DTYPES = frozenset((torch.float32, torch.float64, torch.bfloat16, torch.float16))
INDEX_DTYPES = frozenset((torch.int32, torch.int64))


@dataclass(frozen=True)
class CaptureOptions:
    """What an observation keeps of a forward pass.

    Attributes:
        n_packed: of how many samples, the first ones, the signs of activations are packed.
        activations: whether activation calls are kept.
        operands: whether calls on weights are kept, for a backward pass.
        agreements: whether to count, for any two samples, the neurons of an activation on which they agree.
        outputs: whether the outputs of calls on weights can be had during backward.
    """

    n_packed: int
    activations: bool = True
    operands: bool = True
    agreements: bool = False
    outputs: bool = False


def activation_name(index: int, func: Callable[..., Any]) -> str:
    """`relu@3` for the call number 3, of `relu` or `relu_`."""
    return f"{func.__name__.strip('_')}@{index}"


def unpackable_reason(out: Tensor, candidates: AxisCandidates) -> str | None:
    """Why the signs of an activation's output cannot be packed; None if they can."""
    if out.numel() == 0:
        return f"activation of shape {tuple(out.shape)}: has no elements"
    if out.dtype not in KERNEL_DTYPES or not candidates.options:
        return f"activation of shape {tuple(out.shape)} and {out.dtype}: no axis holds the samples"
    return None


def capture_activation(
    index: int, name: str, out: Tensor, candidates: AxisCandidates, n_samples: int, options: CaptureOptions
) -> ActivationCall:
    """Pack the signs of an activation's output, once for each axis that may hold the samples."""
    n_packed, values = options.n_packed, out.detach()
    views = [axis.sample_first(values, n_samples) for axis in candidates.options]
    n_neurons = views[0].numel() // n_samples
    words = tuple([_packed(view, n_neurons, n_packed) for view in views])
    agreements = tuple([_agreements(view, n_neurons) for view in views]) if options.agreements else ()
    return ActivationCall(index, name, out.shape, candidates, n_neurons, words, n_packed, agreements)


def _packed(view: Tensor, n_neurons: int, n_packed: int) -> Tensor:
    """The signs (V, ceil(n_packed/64)) of the first samples of a view (B, ...)."""
    if n_packed == 0:
        return torch.zeros(n_neurons, 0, dtype=torch.int64, device=view.device)
    return kernels.narrow_words(kernels.pack_signs(view, n_packed), n_packed)


def _agreements(view: Tensor, n_neurons: int) -> Tensor:
    """On how many neurons two samples agree (B, B), from an activation viewed as (B, ...)."""
    return kernels.agreement_counts(kernels.pack_signs(view, view.shape[0], "sample"), n_neurons)
