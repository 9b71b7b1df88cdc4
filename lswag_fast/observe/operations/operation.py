"""What the observer has to know of a call on a weight: one entry of the table for each kind of call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from lswag_fast.kernels import ConvGeometry
from lswag_fast.observe.samples.axis import AxisCandidates, Place

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
        source: the parameter, or the view of one, whose elements `weight` holds in another order and shape; None where
            `weight` itself is that.
    """

    x: Tensor
    weight: Tensor
    bias: Tensor | None
    geometry: ConvGeometry | None = None
    source: Tensor | None = None

    @property
    def origin(self) -> Tensor:
        """The tensor by which the weight is known: `source`, or `weight` itself."""
        return self.weight if self.source is None else self.source


class CallObserver(Protocol):
    """What a composite hands its inner calls on weights to: the mode that observes the forward pass."""

    n_samples: int

    def is_weight(self, tensor: Tensor) -> bool:
        """Whether a tensor is a parameter, or a view of one."""

    def place_of(self, tensor: Tensor) -> Place | None:
        """Where the samples lie in a tensor, where that is known."""

    def mark(self, tensor: Tensor, place: Place) -> None:
        """Say where the samples lie in a tensor."""

    def inner_call(
        self,
        function: Callable[..., Tensor],
        args: tuple[Any, ...],
        candidates: AxisCandidates | None = None,
        source: Tensor | None = None,
    ) -> Tensor:
        """Run a call of an observed function from inside a composite.

        Args:
            function: of the table of observed operations.
            args: its arguments.
            candidates: the axes of its input that may hold the samples; by default those that the sizes allow.
            source: see `BoundCall.source`.
        """


Composite = Callable[[CallObserver, tuple[Any, ...], Mapping[str, Any]], Any]
"""Runs a function of torch as other calls, those on weights through the observer; `NotImplemented` where this call of
it is none on a weight."""


def as_they_are(x: Tensor, grad_out: Tensor, geometry: ConvGeometry | None) -> tuple[Tensor, Tensor]:
    """Return the operands of a weight gradient in this order."""
    return x, grad_out


def its_own(geometry: ConvGeometry | None, shape: torch.Size) -> ConvGeometry | None:
    """Return the geometry of the call."""
    return geometry


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
        weight_operands: (x, grad_out, geometry of the call), the first two viewed with the samples first, -> the two
            tensors whose product is the weight gradient of a sample, as the kernels take them: without a geometry
            "linear-like", (B, ..., I) and (B, ..., O) with G_b = sum_t grad_out[b, t] x[b, t]^T; with one
            "convolution-like", (B, C, ...) and (B, O, ...). A transposed convolution swaps them. Instead of vectors
            (B, ..., O) with a single 1, the numbers of its place (B, ...).
        kernel_geometry: (geometry of the call, shape of its x) -> the geometry of these two tensors.
    """

    kind: str
    functions: tuple[Callable[..., Any], ...]
    bind: Callable[..., BoundCall | None]
    sample_axes: Callable[[Tensor, int], AxisCandidates]
    forward: Callable[[BoundCall], Tensor]
    gradients: Callable[[BoundCall, Tensor, Wants], Gradients]
    macs: Callable[[BoundCall, torch.Size], int]
    weight_operands: Callable[[Tensor, Tensor, ConvGeometry | None], tuple[Tensor, Tensor]] = as_they_are
    kernel_geometry: Callable[[ConvGeometry | None, torch.Size], ConvGeometry | None] = its_own
