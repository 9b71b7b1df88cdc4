"""The autograd function that stands in for linear and convolution calls: torch's outputs and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import forward_ad

from lswag_fast.kernels import ConvGeometry
from lswag_fast.observe.observed_call import ObservedCall, fast_linear_layers, forward_alone
from lswag_fast.observe.operations import LINEAR, OPERATIONS, BoundCall, products

GEOMETRIES = {
    "plain": ConvGeometry((3, 3), (1, 1), (0, 0), (1, 1), 1),
    "strided, padded, dilated": ConvGeometry((3, 2), (2, 1), (1, 2), (1, 2), 1),
    "groups": ConvGeometry((3, 3), (1, 1), (1, 1), (1, 1), 2),
    "one axis": ConvGeometry((3,), (2,), (1,), (1,), 2),
}


def operands(name: str) -> tuple[Tensor, Tensor, Tensor, tuple[Any, ...], Any]:
    """(x, weight, bias, geometry and operation, the plain call) of one case in float64."""
    if name in ("linear", "linear on tokens"):
        x = torch.randn(3, 5) if name == "linear" else torch.randn(3, 4, 5)
        return x.double(), torch.randn(6, 5).double(), torch.randn(6).double(), (None, OPERATIONS[F.linear]), F.linear
    g = GEOMETRIES[name]
    x, weight = torch.randn(3, 4, *(9, 8)[: len(g.kernel_size)]), torch.randn(6, 4 // g.groups, *g.kernel_size)
    conv = F.conv1d if len(g.kernel_size) == 1 else F.conv2d

    def plain(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return conv(x, weight, bias, g.stride, g.padding, g.dilation, g.groups)

    return x.double(), weight.double(), torch.randn(6).double(), (g, OPERATIONS[conv]), plain


CASES = ["linear", "linear on tokens", *GEOMETRIES]


def observed(name: str, upstream: bool, wants: tuple[bool, bool, bool]) -> tuple[Tensor, list[Any], list[Any], Any]:
    """Output, the gradients asked for, what was received, and the plain call's operands."""
    x, weight, bias, (geometry, operation), plain = operands(name)
    tensors = [t.requires_grad_(want) for t, want in zip((x, weight, bias), wants, strict=True)]
    anchor, received = torch.zeros((), requires_grad=True), []

    def receive(x: Tensor, grad_out: Tensor) -> bool:
        received.append((x, grad_out))
        return upstream

    out = ObservedCall.apply(*tensors, geometry, anchor, operation, receive)
    leaves = [anchor, *(t for t in tensors if t.requires_grad)]
    gradients = torch.autograd.grad(out.square().sum(), leaves, allow_unused=True)
    return out, list(gradients[1:]), received, (tensors, plain)


@pytest.mark.parametrize("name", CASES)
def test_output_and_gradients_are_those_of_torch(name: str) -> None:
    out, gradients, received, (tensors, plain) = observed(name, upstream=True, wants=(True, True, True))
    expected = plain(*tensors)
    torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-12)
    for found, exact in zip(gradients, torch.autograd.grad(expected.square().sum(), tensors), strict=True):
        torch.testing.assert_close(found, exact, rtol=1e-12, atol=1e-12)
    ((x, grad_out),) = received
    assert torch.equal(x, tensors[0])
    torch.testing.assert_close(grad_out, 2 * expected.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_backward_stops_where_nothing_lies_upstream(name: str) -> None:
    _, (grad_x,), received, _ = observed(name, upstream=False, wants=(True, False, False))
    assert grad_x is None
    assert len(received) == 1


@pytest.mark.parametrize("name", CASES)
def test_a_frozen_weight_gets_no_gradient(name: str) -> None:
    _, gradients, received, _ = observed(name, upstream=True, wants=(False, False, False))
    assert gradients == []
    assert len(received) == 1


@pytest.mark.parametrize("name", CASES)
def test_the_output_may_be_written_in_place(name: str) -> None:
    x, weight, bias, (geometry, operation), _ = operands(name)
    anchor = torch.zeros((), requires_grad=True)
    out = ObservedCall.apply(x, weight, bias, geometry, anchor, operation, lambda *_: True)
    assert bool((out.relu_() >= 0).all())


def test_an_output_that_is_not_used_is_not_received() -> None:
    x, weight, bias, (geometry, operation), _ = operands("linear")
    anchor, received = torch.zeros((), requires_grad=True), []
    unused = ObservedCall.apply(x, weight, bias, geometry, anchor, operation, lambda *pair: received.append(pair))
    torch.autograd.grad((unused * 1).detach().sum() + anchor, anchor)
    assert received == []


def ran_as_it_is(call: BoundCall, function: Any = F.linear) -> bool:
    """Whether `forward_alone` made the call of the model itself."""
    made = []
    out = forward_alone(OPERATIONS[function], call, lambda: made.append(function) or function(*call[:3]))
    torch.testing.assert_close(out, function(*call[:3]))
    return bool(made)


def test_without_a_backward_a_linear_call_has_the_product_of_an_observed_one() -> None:
    x, weight, bias = torch.randn(4, 5), torch.nn.Parameter(torch.randn(6, 5), requires_grad=False), torch.randn(6)
    assert not ran_as_it_is(BoundCall(x, weight, bias, None))
    out = forward_alone(LINEAR, BoundCall(x, weight, None, None), lambda: x)
    assert not out._is_view()
    with torch.autocast("cpu"):
        assert forward_alone(LINEAR, BoundCall(x, weight, bias, None), lambda: x).dtype == torch.bfloat16


def test_what_the_model_differentiates_or_transforms_is_run_as_it_is() -> None:
    x, weight = torch.randn(4, 5), torch.randn(6, 5)
    assert ran_as_it_is(BoundCall(x.requires_grad_(), weight, None, None))
    assert ran_as_it_is(BoundCall(torch.randn(2, 3, 8), torch.randn(4, 3, 2), None, None), F.conv1d)
    torch.vmap(lambda row: forward_alone(LINEAR, BoundCall(row, weight, None, None), lambda: F.linear(row, weight)))(x)


def test_a_weight_to_train_has_it_where_gradients_are_off() -> None:
    x, weight = torch.randn(4, 5), nn.Parameter(torch.randn(6, 5))
    assert ran_as_it_is(BoundCall(x, weight, None, None))
    with torch.inference_mode():
        assert not ran_as_it_is(BoundCall(x, weight, None, None))


class Derived(nn.Linear):
    """A layer of a class of one's own."""


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The operands of `products.linear`, which stays as it is."""
    calls, linear = [], products.linear
    monkeypatch.setattr(products, "linear", lambda *operands: calls.append(operands) or linear(*operands))
    return calls


def test_fast_linear_layers(made: list[tuple[Any, ...]]) -> None:
    model = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 6, bias=False), Derived(6, 3))
    x = torch.randn(4, 5)
    expected = model(x)
    with fast_linear_layers(model), fast_linear_layers(model):
        with torch.inference_mode():
            torch.testing.assert_close(model(input=x), expected)
        with torch.no_grad(), torch.autocast("cpu"):
            assert model(x).dtype == torch.bfloat16
    assert [weight is model[i].weight for (_, weight, _), i in zip(made[:2], (0, 2), strict=True)] == [True, True]
    assert len(made) == 4
    with torch.no_grad():
        model(x)
    assert len(made) == 4


@pytest.mark.parametrize("frozen", [False, True])
def test_fast_linear_layers_differentiate(made: list[tuple[Any, ...]], *, frozen: bool) -> None:
    model = nn.Sequential(nn.Linear(40, 48), nn.GELU(), nn.Linear(48, 32, bias=False), nn.GELU())
    x = torch.randn(2, 300, 40, requires_grad=True)  # enough for `float_product`
    wanted = [x, *(() if frozen else model.parameters())]

    def gradients() -> list[Tensor]:
        out = model(x)
        first = torch.autograd.grad(out.sum(), wanted, retain_graph=True)
        (kept,) = torch.autograd.grad(out.sum(), x, create_graph=True)
        return [out, *first, *torch.autograd.grad(kept.square().sum(), wanted)]

    expected = gradients()
    with fast_linear_layers(model, frozen=frozen):
        found = gradients()
    assert len(made) == 2  # a forward through two layers
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.detach().abs().max()))  # float32


def test_a_model_may_write_into_the_input_of_a_frozen_fast_linear_layer() -> None:
    model, x = nn.Linear(5, 6), torch.randn(4, 5, requires_grad=True)
    with fast_linear_layers(model, frozen=True):
        held = x * 1
        out = model(held)
        held.zero_()
        (found,) = torch.autograd.grad(out.sum(), x)
    torch.testing.assert_close(found, model.weight.sum(0).expand(4, 5))


def test_fast_linear_layers_inside_of_transforms() -> None:
    """Tensors without memory, in forward or backward, and tangents are torch's."""
    model, x = nn.Linear(40, 48), torch.randn(300, 40, requires_grad=True)
    seeds = torch.randn(3, 300, 48)

    def found() -> list[Tensor]:
        with forward_ad.dual_level():
            tangent = forward_ad.unpack_dual(model(forward_ad.make_dual(x.detach(), torch.ones_like(x)))).tangent
        batched = torch.autograd.grad(model(x), x, seeds, is_grads_batched=True)[0]
        return [tangent, batched, torch.func.vmap(model)(x.detach())]

    expected = found()
    with fast_linear_layers(model):
        torch.testing.assert_close(found(), expected)


def test_a_fast_linear_layer_without_a_gradient_passes_none() -> None:
    class Stopped(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> None:
            return None

    model, x = nn.Linear(5, 6), torch.randn(4, 5, requires_grad=True)
    with fast_linear_layers(model):
        out = Stopped.apply(model(x)).sum()
        assert torch.autograd.grad(out, x, allow_unused=True) == (None,)


def test_fast_linear_layers_are_given_back_after_an_error(made: list[tuple[Any, ...]]) -> None:
    model = nn.Linear(5, 6)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), torch.no_grad(), fast_linear_layers(model):
        model(torch.randn(4, 3))
    assert len(made) == 1 and "forward" not in vars(model)


def test_fast_linear_layers_leave_the_fused_form_of_torch() -> None:
    model = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval()
    x = torch.randn(3, 7, 16)
    with torch.inference_mode():
        expected = model(x)
        with fast_linear_layers(model):
            torch.testing.assert_close(model(x), expected, rtol=0, atol=0)  # to the last bit: the same calls
