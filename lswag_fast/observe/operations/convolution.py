"""`conv1d` and `conv2d`, bound to explicit symmetric padding and one number per spatial axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.kernels import ConvGeometry
from lswag_fast.observe.operations.operation import BoundCall, Gradients, ObservedOperation, Wants
from lswag_fast.observe.sample_axis import AxisCandidates, candidates_by_size


def bind(
    n_axes: int,
    input: Tensor,  # noqa: A002 - the names are those of torch's arguments
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> BoundCall:
    """Take the arguments as torch does (its functions are builtins without a signature), for `n_axes` spatial axes.

    The input then carries any asymmetric part of a "same" padding.
    """
    kernel = tuple(weight.shape[2:])
    dilations = _each_axis(dilation, n_axes)
    paddings, x = _symmetric(padding, kernel, dilations, input)
    geometry = ConvGeometry(kernel, _each_axis(stride, n_axes), paddings, dilations, int(groups))
    return BoundCall(x, weight, bias, geometry)


def sample_axes(n_axes: int, x: Tensor, n_samples: int) -> AxisCandidates:
    """Axis 0 or, where the shapes are ambiguous, a spatial axis; never the channels."""
    if x.dim() != n_axes + 2:
        return AxisCandidates((), certain=False)
    return candidates_by_size(x.shape, n_samples, (0, *range(2, x.dim())), folded=False)


def forward(function: Callable[..., Tensor], call: BoundCall) -> Tensor:
    """Run torch's convolution `function`: (B, C, ...) -> (B, O, ...)."""
    g = geometry_of(call)
    return function(call.x, call.weight, call.bias, g.stride, g.padding, g.dilation, g.groups)


def gradients(call: BoundCall, grad_out: Tensor, wants: Wants) -> Gradients:
    """Compute the gradients asked for from that of the output, (B, O, ...)."""
    g, weight = geometry_of(call), call.weight
    bias_shape = [weight.shape[0]] if wants[2] else None
    no_output_padding = [0] * len(g.stride)
    found: Gradients = torch.ops.aten.convolution_backward(
        grad_out, call.x, weight, bias_shape, g.stride, g.padding, g.dilation, False, no_output_padding, g.groups, wants
    )
    return found


def macs(call: BoundCall, shape: torch.Size) -> int:
    """The elements of an output channel's kernel, (C / groups, ...), for each element of the output."""
    return shape.numel() * call.weight[0].numel()


def geometry_of(call: BoundCall) -> ConvGeometry:
    """The geometry that `bind` gave the call."""
    if call.geometry is None:
        raise TypeError("a convolution call is bound without its geometry")
    return call.geometry


def _each_axis(value: int | Sequence[int], n_axes: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * n_axes if len(values) == 1 else values


def _symmetric(
    padding: str | int | Sequence[int], kernel: tuple[int, ...], dilation: tuple[int, ...], x: Tensor
) -> tuple[tuple[int, ...], Tensor]:
    """Turn "same" and "valid" into numbers; torch pads the odd element of "same" at the end of the axis."""
    if padding == "valid":
        return (0,) * len(kernel), x
    if padding != "same":
        return _each_axis(padding, len(kernel)), x  # type: ignore[arg-type]
    totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if any(total % 2 for total in totals):
        x = F.pad(x, [side for total in reversed(totals) for side in (0, total % 2)])
    return tuple(total // 2 for total in totals), x


def _convolution(function: Callable[..., Tensor], n_axes: int) -> ObservedOperation:
    return ObservedOperation(
        kind=f"conv{n_axes}d",
        functions=(function,),
        bind=partial(bind, n_axes),
        sample_axes=partial(sample_axes, n_axes),
        forward=partial(forward, function),
        gradients=gradients,
        macs=macs,
    )


CONV1D = _convolution(torch.conv1d, 1)
CONV2D = _convolution(torch.conv2d, 2)
