"""The autograd function that stands in for an observed call on a weight, and what goes before and after it.

Forward computes what torch would. Backward hands (x, grad_out) to the observer and returns the gradient of the input
only: the weight gradient, a third of a training step, is never formed. It is formed for a computed weight, whose maker
would otherwise see no gradient. An extra scalar input, the call's *anchor*, requires grad, so that a graph exists
although no parameter requires grad during a pass; asking autograd for the anchors of some calls runs backward no deeper
than those calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import forward_ad

from lswag_fast.errors import UnsupportedModelError
from lswag_fast.kernels import ConvGeometry
from lswag_fast.observe.operations import LINEAR, BoundCall, ObservedOperation, products

Receive = Callable[[Tensor, Tensor], bool]
"""Takes (x, grad_out); answers whether any observed call lies further upstream."""

_NONE = (None,) * 7  # one per input of the function


class ObservedCall(torch.autograd.Function):
    """A call on a weight with the observer in place of the weight gradient."""

    @staticmethod
    def forward(  # noqa: D102
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        geometry: ConvGeometry | None,
        anchor: Tensor,
        operation: ObservedOperation,
        receive: Receive,
    ) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, weight)
        ctx.geometry, ctx.operation, ctx.receive = geometry, operation, receive
        return _owned(operation.forward(BoundCall(x, weight, bias, geometry)))

    @staticmethod
    def backward(ctx: Any, grad_out: Tensor | None) -> tuple[Tensor | None, ...]:  # noqa: D102
        if grad_out is None:
            return _NONE
        if torch.is_grad_enabled():  # with create_graph: what follows would use the weight once more, unseen
            raise UnsupportedModelError(
                "the model differentiates a call on a weight inside of its own forward pass, with create_graph (an "
                "energy, a gradient penalty); a sample's share of the second derivative cannot be observed"
            )
        x, weight = ctx.saved_tensors
        upstream = ctx.receive(x, grad_out)
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        wants = (wants_x and upstream, wants_weight, wants_bias)
        if not any(wants):
            return _NONE
        call = BoundCall(x, weight, None, ctx.geometry)
        return (*ctx.operation.gradients(call, grad_out, wants), *_NONE[3:])


def as_autocast(call: BoundCall) -> BoundCall:
    """Cast the operands as autocast would, inside the graph, so that what is saved has one dtype; no look-ups."""
    device = call.x.device.type
    if not torch.is_autocast_enabled(device) or not call.x.is_floating_point():
        return call
    dtype = torch.get_autocast_dtype(device)

    def cast(tensor: Tensor) -> Tensor:
        return tensor.to(dtype) if tensor.is_floating_point() and tensor.dtype != torch.float64 else tensor

    bias = None if call.bias is None else cast(call.bias)
    return call._replace(x=cast(call.x), weight=cast(call.weight), bias=bias)


def forward_alone(operation: ObservedOperation, call: BoundCall, run: Callable[[], Tensor]) -> Tensor:
    """Run a call in a pass that has no backward: a linear one by the product that an observed one takes, others as
    they are, and so what the model itself differentiates or transforms.
    """
    differentiated = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in _operands(call))
    if operation is not LINEAR or not _is_plain(call) or differentiated:
        return run()
    return _owned(operation.forward(as_autocast(call)))


def _operands(call: BoundCall) -> list[Tensor]:
    return [tensor for tensor in (call.x, call.weight, call.bias) if tensor is not None]


def _is_plain(call: BoundCall) -> bool:
    """Whether a call's operands are torch's own tensors, and no transform of `torch.func` sees them."""
    return not products.are_transformed() and all(type(tensor) in (Tensor, nn.Parameter) for tensor in _operands(call))


@contextmanager
def fast_linear_layers(model: nn.Module, *, frozen: bool = False) -> Iterator[None]:
    """Inside, the model's linear layers multiply as an observed pass does, and so does the backward of what they give.

    The backward belongs inside, too: a model that computes activations again must do so with the same products.

    Layers, not calls: under a mode that sees every `F.linear`, torch's own attention gives up its fused form for eval
    mode. Layers of a class that derives from `nn.Linear`, or whose `forward` was replaced, are left alone.

    Args:
        model: its layers are afterwards what they were.
        frozen: give the layers' own parameters no gradient; else it is computed for those that require one, even if
            autograd was asked for that of others alone.

    Raises:
        BackendUnavailableError: from a layer's call, where there is no extension; see `has_float_product`.

    Example:
        >>> model = nn.Linear(64, 64)
        >>> with torch.no_grad(), fast_linear_layers(model):
        ...     out = model(torch.ones(256, 64))
        >>> torch.allclose(out, model(torch.ones(256, 64)), atol=1e-5)
        True
    """
    layers = [layer for layer in model.modules() if type(layer) is nn.Linear and "forward" not in vars(layer)]
    for layer in layers:
        layer.forward = partial(_linear_layer, layer, frozen)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _linear_layer(
    layer: nn.Linear,
    frozen: bool,
    input: Tensor,  # noqa: A002 - torch's name of the argument
) -> Tensor:
    weight: Tensor = layer.weight
    bias: Tensor | None = layer.bias
    if frozen:
        weight, bias = weight.detach(), None if bias is None else bias.detach()
    call = BoundCall(input, weight, bias)
    if not _is_plain(call) or forward_ad._current_level >= 0:  # inside of `dual_level`, a mode of its own
        return F.linear(input, weight, bias)
    call = as_autocast(call)
    return cast(Tensor, _LinearCall.apply(call.x, call.weight, call.bias))  # type: ignore[no-untyped-call]


class _LinearCall(torch.autograd.Function):
    """`F.linear` by the products of an observed pass, forward and backward; with create_graph by torch's own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.set_materialize_grads(False)
        # x only for the gradient of a weight, as torch does: else the model may write into it.
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, weight)
        return _owned(LINEAR.forward(BoundCall(x, weight, bias)))

    @staticmethod
    def backward(ctx: Any, grad_out: Tensor | None) -> tuple[Tensor | None, ...]:
        if grad_out is None:
            return None, None, None
        x, weight = ctx.saved_tensors
        return LINEAR.gradients(BoundCall(x, weight, None), grad_out, ctx.needs_input_grad)


def output_again(out: Tensor, operation: ObservedOperation, call: BoundCall) -> Callable[[], Tensor]:
    """Give a call's output once more at its backward; computed anew if the model has written into it since.

    A detached alias keeps the values without a cycle from the output through its graph to itself.
    """
    alias = out.detach()
    version = alias._version

    def output() -> Tensor:
        if alias._version == version:
            return alias
        with torch.no_grad():
            return operation.forward(call)

    return output


def _owned(out: Tensor) -> Tensor:
    """Return `out` as a tensor of its own: an output that is a view would forbid in-place calls on it."""
    return torch.ops.aten._unsafe_view(out, out.shape) if out._is_view() else out
