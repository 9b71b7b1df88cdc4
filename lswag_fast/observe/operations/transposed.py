"""Transposed convolutions along one to three axes.

The gradient of their weight (C, O / groups, ...) is that of a convolution from the output to the input: the two
operands change places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.kernels import ConvGeometry
from lswag_fast.observe.operations import convolution
from lswag_fast.observe.operations.operation import BoundCall, Gradients, ObservedOperation, Wants


@dataclass(frozen=True)
class TransposedGeometry(ConvGeometry):
    """The geometry of the convolution from the output back to the input, with what is added at the output's ends."""

    output_padding: tuple[int, ...] = ()


def bind(
    n_axes: int,
    input: Tensor,  # noqa: A002 - the names are those of torch's arguments
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> BoundCall:
    """Take the arguments as torch does, for `n_axes` spatial axes."""
    strides, paddings, dilations, added = (
        convolution.each_axis(value, n_axes) for value in (stride, padding, dilation, output_padding)
    )
    kernel = tuple(weight.shape[2:])
    return BoundCall(input, weight, bias, TransposedGeometry(kernel, strides, paddings, dilations, int(groups), added))


def forward(function: Callable[..., Tensor], call: BoundCall) -> Tensor:
    """Run torch's transposed convolution `function`: (B, C, ...) -> (B, O, ...)."""
    g = _geometry_of(call)
    return function(call.x, call.weight, call.bias, g.stride, g.padding, g.output_padding, g.groups, g.dilation)


def gradients(call: BoundCall, grad_out: Tensor, wants: Wants) -> Gradients:
    """Compute the gradients asked for from that of the output, (B, O, ...)."""
    g, weight = _geometry_of(call), call.weight
    bias_shape = [weight.shape[1] * g.groups] if wants[2] else None
    geometry = (g.stride, g.padding, g.dilation, True, g.output_padding, g.groups)
    found: Gradients = torch.ops.aten.convolution_backward(grad_out, call.x, weight, bias_shape, *geometry, wants)
    return found


def macs(call: BoundCall, shape: torch.Size) -> int:
    """The elements of an input channel's kernel, (O / groups, ...), for each element of the input."""
    return call.x.numel() * call.weight[0].numel()


def weight_operands(x: Tensor, grad_out: Tensor, geometry: ConvGeometry | None) -> tuple[Tensor, Tensor]:
    """The output as what is convolved, and the input as what comes out; see `convolution.weight_operands`."""
    if geometry is None:
        raise TypeError("a transposed convolution is bound without its geometry")
    n_axes = len(geometry.kernel_size)
    reached = [
        (length + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        for length, kernel, stride, padding, dilation in zip(
            grad_out.shape[-n_axes:], geometry.kernel_size, geometry.stride, geometry.padding, geometry.dilation,
            strict=True,
        )
    ]  # fmt: skip
    # An output padding of a stride or more is room for further windows, on which the input had nothing to say.
    further = [n - length for n, length in zip(reached, x.shape[-n_axes:], strict=True)]
    if any(further):
        x = F.pad(x, [side for n in reversed(further) for side in (0, n)])
    return convolution.weight_operands(grad_out, x, geometry)


def kernel_geometry(geometry: ConvGeometry | None, shape: torch.Size) -> ConvGeometry | None:
    """The geometry as that of a plain convolution."""
    if geometry is None:
        return None
    g = ConvGeometry(geometry.kernel_size, geometry.stride, geometry.padding, geometry.dilation, geometry.groups)
    return convolution.kernel_geometry(g, shape)


def _geometry_of(call: BoundCall) -> TransposedGeometry:
    if not isinstance(call.geometry, TransposedGeometry):
        raise TypeError("a transposed convolution is bound without its geometry")
    return call.geometry


def _transposed(function: Callable[..., Tensor], n_axes: int) -> ObservedOperation:
    return ObservedOperation(
        kind=f"conv_transpose{n_axes}d",
        functions=(function,),
        bind=partial(bind, n_axes),
        sample_axes=partial(convolution.sample_axes, n_axes),
        forward=partial(forward, function),
        gradients=gradients,
        macs=macs,
        weight_operands=weight_operands,
        kernel_geometry=kernel_geometry,
    )


CONV_TRANSPOSE1D = _transposed(torch.conv_transpose1d, 1)
CONV_TRANSPOSE2D = _transposed(torch.conv_transpose2d, 2)
CONV_TRANSPOSE3D = _transposed(torch.conv_transpose3d, 3)
