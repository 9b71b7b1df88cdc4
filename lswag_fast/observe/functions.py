"""The autograd functions that stand in for observed linear and convolution calls.

Forward computes what torch would. Backward hands (x, grad_out) to the observer and returns the gradient of the
input only: the weight gradient, a third of a training step, is never formed. It is formed for a computed weight,
whose maker would otherwise see no gradient. An extra scalar input, the call's *anchor*, requires grad, so that a
graph exists although no parameter requires grad during a pass; asking autograd for the anchors of some calls runs
backward no deeper than those calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lswag_fast.kernels import ConvGeometry
from lswag_fast.observe import products
from lswag_fast.observe.convolution import ConvArguments

Receive = Callable[[Tensor, Tensor], bool]
"""Takes (x, grad_out); answers whether any observed call lies further upstream."""


def _owned(out: Tensor) -> Tensor:
    """Return `out` as a tensor of its own: an output that is a view would forbid in-place calls on it."""
    return torch.ops.aten._unsafe_view(out, out.shape) if out._is_view() else out


class ObservedLinear(torch.autograd.Function):
    """`F.linear` with the observer in place of the weight gradient."""

    @staticmethod
    def forward(  # noqa: D102
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, anchor: Tensor, receive: Receive
    ) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, weight)
        ctx.receive = receive
        return _owned(products.linear(x, weight, bias))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor | None) -> tuple[Tensor | None, ...]:  # noqa: D102
        if grad_out is None:
            return (None,) * 5
        x, weight = ctx.saved_tensors
        upstream = ctx.receive(x, grad_out)
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        grad_x = products.input_gradient(grad_out, weight) if wants_x and upstream else None
        rows = grad_out.reshape(-1, weight.shape[0])
        grad_weight = rows.t() @ x.reshape(-1, weight.shape[1]) if wants_weight else None
        grad_bias = rows.sum(0) if wants_bias else None
        return grad_x, grad_weight, grad_bias, None, None


class ObservedConv(torch.autograd.Function):
    """`conv1d` and `conv2d` with the observer in place of the weight gradient."""

    @staticmethod
    def forward(  # noqa: D102
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        anchor: Tensor,
        geometry: ConvGeometry,
        receive: Receive,
    ) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        ctx.bias_shape = None if bias is None else list(bias.shape)
        ctx.receive = receive
        return _owned(ConvArguments(x, weight, bias, geometry).forward())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor | None) -> tuple[Tensor | None, ...]:  # noqa: D102
        if grad_out is None:
            return (None,) * 6
        x, weight = ctx.saved_tensors
        upstream = ctx.receive(x, grad_out)
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        mask = [wants_x and upstream, wants_weight, wants_bias]
        if not any(mask):
            return (None,) * 6
        g = ctx.geometry
        no_output_padding = [0] * len(g.stride)
        grads = torch.ops.aten.convolution_backward(
            grad_out,
            x,
            weight,
            ctx.bias_shape,
            g.stride,
            g.padding,
            g.dilation,
            False,
            no_output_padding,
            g.groups,
            mask,
        )
        return (*grads, None, None, None)
