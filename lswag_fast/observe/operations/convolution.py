"""`conv1d`, `conv2d` and `conv3d`, bound to explicit symmetric padding and one number per spatial axis.

The kernels know one and two axes. To them a convolution along three axes is one along the last two, on planes: its
channels are those of the planes of depth under the window, so that they and the depth of the weight are one axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.kernels import ConvGeometry
from lswag_fast.observe.operations.operation import BoundCall, Gradients, ObservedOperation, Wants
from lswag_fast.observe.samples.axis import AxisCandidates, candidates_by_size

_N_AXES_3D, _DEPTH = 3, -3  # how many axes, and which of a tensor is the depth


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
    dilations = each_axis(dilation, n_axes)
    paddings, x = _symmetric(padding, kernel, dilations, input)
    geometry = ConvGeometry(kernel, each_axis(stride, n_axes), paddings, dilations, int(groups))
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


def weight_operands(x: Tensor, grad_out: Tensor, geometry: ConvGeometry | None) -> tuple[Tensor, Tensor]:
    """Along three axes, each plane of the output and those of the input under it: (B, ..., D', C * kD, H, W) and
    (B, ..., D', O, H', W'). Along fewer, the two as they are.
    """
    if geometry is None or len(geometry.kernel_size) < _N_AXES_3D:
        return x, grad_out
    depth, stride, padding, dilation = (
        values[0] for values in (geometry.kernel_size, geometry.stride, geometry.padding, geometry.dilation)
    )
    x = F.pad(x, (0, 0, 0, 0, padding, padding))
    windows = x.unfold(_DEPTH, dilation * (depth - 1) + 1, stride)[..., ::dilation]  # (B, ..., C, D', H, W, kD)
    windows = windows.movedim(_DEPTH - 1, _DEPTH - 2).movedim(-1, _DEPTH)
    return windows.flatten(_DEPTH - 1, _DEPTH), grad_out.movedim(_DEPTH, _DEPTH - 1)


def kernel_geometry(geometry: ConvGeometry | None, shape: torch.Size) -> ConvGeometry | None:
    """The last two of three axes; one or two as they are."""
    if geometry is None or len(geometry.kernel_size) < _N_AXES_3D:
        return geometry
    g = geometry
    return ConvGeometry(g.kernel_size[1:], g.stride[1:], g.padding[1:], g.dilation[1:], g.groups)


def each_axis(value: int | Sequence[int], n_axes: int) -> tuple[int, ...]:
    """One number for each axis."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * n_axes if len(values) == 1 else values


def _symmetric(
    padding: str | int | Sequence[int], kernel: tuple[int, ...], dilation: tuple[int, ...], x: Tensor
) -> tuple[tuple[int, ...], Tensor]:
    """Turn "same" and "valid" into numbers; torch pads the odd element of "same" at the end of the axis."""
    if padding == "valid":
        return (0,) * len(kernel), x
    if padding != "same":
        return each_axis(padding, len(kernel)), x  # type: ignore[arg-type]
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
        weight_operands=weight_operands,
        kernel_geometry=kernel_geometry,
    )


CONV1D = _convolution(torch.conv1d, 1)
CONV2D = _convolution(torch.conv2d, 2)
CONV3D = _convolution(torch.conv3d, 3)
