"""What the observer has to know of a call on a weight: one entry of the table for each kind of call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lswag_fast.kernels import ConvGeometry
from lswag_fast.observe.sample_axis import AxisCandidates

Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]
"""Of the input, the weight and the bias; None for what was not asked for."""

Wants = tuple[bool, bool, bool]
"""Whether the gradients of the input, the weight and the bias are asked for."""


class BoundCall(NamedTuple):
    """The arguments of one call on a weight, in one form however the call was written.

    Attributes:
        x: the input that holds the samples.
        weight: (O, ...), the output features or channels first.
        bias: (O,), or None.
        geometry: of a convolution; None for a call that is linear in its last axis.
    """

    x: Tensor
    weight: Tensor
    bias: Tensor | None
    geometry: ConvGeometry | None = None


def as_they_are(x: Tensor, grad_out: Tensor) -> tuple[Tensor, Tensor]:
    """Return the operands of a weight gradient in this order."""
    return x, grad_out


@dataclass(frozen=True)
class ObservedOperation:
    """One kind of call on a weight. An entry of `OPERATIONS` is all that the observer needs in order to score it.

    Attributes:
        kind: what a layer of such calls is called, as in `LayerScore.kind`.
        functions: the functions of torch that make this call, each under every name that a model may call it by.
        bind: takes a call's arguments as torch's functions do (with TypeError for others) and says which is which;
            None where this call is none on a weight. What it computes (padding, a transpose) is part of the graph.
        sample_axes: (x, n_samples) -> the axes of x that may hold the samples, by size.
        forward: computes the output; called outside of autograd.
        gradients: (call, grad_out, wants) -> the gradients asked for. That of the weight is asked for only where the
            model computes the weight itself.
        macs: (call, shape of the output) -> multiply-accumulates of the forward, without the bias.
        weight_operands: (x, grad_out), viewed with the samples first, -> the two tensors whose product is the weight
            gradient of a sample, as the kernels take them: without a geometry "linear-like", (B, ..., I) and
            (B, ..., O) with G_b = sum_t grad_out[b, t] x[b, t]^T; with one "convolution-like", (B, C, ...) and
            (B, O, ...). A transposed convolution would swap them.
    """

    kind: str
    functions: tuple[Callable[..., Any], ...]
    bind: Callable[..., BoundCall | None]
    sample_axes: Callable[[Tensor, int], AxisCandidates]
    forward: Callable[[BoundCall], Tensor]
    gradients: Callable[[BoundCall, Tensor, Wants], Gradients]
    macs: Callable[[BoundCall, torch.Size], int]
    weight_operands: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = as_they_are
