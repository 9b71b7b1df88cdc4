"""Models and losses that torch cannot differentiate: one line of this library's, and the model given back."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lswag_fast import score_many
from lswag_fast.errors import InputError, LswagError, NothingObservedError, UnsupportedModelError
from support.contract import X, Y, score
from support.oracle import SHOWN


class NoBackward(torch.autograd.Function):
    """Has no backward at all."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 2 * x


class WrongShape(NoBackward):
    """Returns the gradient of another shape."""

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad[:1]


def saved_tensor_written(net: Net, x: Tensor) -> Tensor:
    hidden = net.first(x).exp()
    product = hidden * hidden
    hidden.add_(1)
    return net.last(product + hidden)


def input_of_a_weight_written(net: Net, x: Tensor) -> Tensor:
    hidden = net.first(x).relu()
    out = net.last(hidden)
    hidden.add_(1)
    return out


def part_of_an_unbound_tensor_written(net: Net, x: Tensor) -> Tensor:
    hidden = net.first(x)
    hidden.unbind(0)[0].mul_(2)
    return net.last(hidden.relu())


def graph_used_up(net: Net, x: Tensor) -> Tensor:
    hidden = net.first(x).relu()
    out = net.last(hidden)
    torch.autograd.grad(out.sum(), hidden)
    return out


def gradient_of_what_asks_for_none(net: Net, x: Tensor) -> Tensor:
    return net.last(net.first(x).relu() + torch.autograd.grad(x.sum(), x)[0].sum())


FORWARDS: dict[str, tuple[Callable[..., Tensor], str]] = {
    "saved tensor": (saved_tensor_written, "modified by an inplace operation"),
    "input of a weight": (input_of_a_weight_written, "modified by an inplace operation"),
    "unbound tensor": (part_of_an_unbound_tensor_written, "is a view and is being modified inplace"),
    "no backward": (lambda net, x: net.last(NoBackward.apply(net.first(x)).relu()), "implement either the backward"),
    "wrong shape": (lambda net, x: net.last(WrongShape.apply(net.first(x)).relu()), "returned an invalid gradient"),
    "graph used up": (graph_used_up, "backward through the graph a second time"),
    "no gradient to take": (gradient_of_what_asks_for_none, "does not require grad"),
}


class Net(nn.Module):
    """Two linear layers; the test says what happens in between."""

    def __init__(self, through: Callable[..., Tensor]) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(5, 8), nn.Linear(8, 3)
        self.through = through

    def forward(self, x: Tensor) -> Tensor:
        return self.through(self, x)


@pytest.mark.parametrize(("through", "words"), FORWARDS.values(), ids=FORWARDS)
def test_torchs_error_becomes_one_line_with_its_cause(through: Callable[..., Tensor], words: str) -> None:
    with pytest.raises(
        UnsupportedModelError, match=f"torch cannot differentiate the model or its loss: .*{words}"
    ) as e:
        score(Net(through))  # which looks whether the model is left as it was
    assert isinstance(e.value.__cause__, RuntimeError)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(("through", "words"), FORWARDS.values(), ids=FORWARDS)
def test_the_other_proxies_are_not_touched(through: Callable[..., Tensor], words: str) -> None:
    found = score_many(Net(through), (X, Y), proxies=["zico", "grasp", "params"], pattern_samples=SHOWN)
    assert all(words in str(found[name].error) for name in ("zico", "grasp"))
    assert math.isnan(found["zico"].value)
    assert found["params"].value == 5 * 8 + 8 + 8 * 3 + 3


def test_a_gradient_of_its_own_is_said_to_find_frozen_weights() -> None:
    def through(net: Net, x: Tensor) -> Tensor:
        hidden = net.first(x).relu()
        return net.last(torch.autograd.grad(hidden.square().sum(), hidden)[0])

    found = score_many(Net(through), (X, Y), proxies=["near"], features="first", pattern_samples=SHOWN)["near"]
    assert "does not require grad" in str(found.error)
    assert "its own forward pass finds the weights frozen here" in str(found.error)


LOSSES: dict[str, tuple[Callable[..., Tensor], type[LswagError], str]] = {
    "a constant": (lambda out, y: torch.zeros(len(y)), NothingObservedError, "no gradient reached it"),
    "detached": (lambda out, y: out.detach().sum(1), NothingObservedError, "no gradient reached it"),
    "class numbers": (lambda out, y: out.argmax(1), NothingObservedError, "no gradient reached it"),
    "complex": (lambda out, y: torch.complex(out, out).sum(1), InputError, "complex64; a loss is a real number"),
    "differentiated already": (
        lambda out, y: (torch.autograd.grad(out.square().sum(), out), out.square().sum(1), out.sum().backward())[1],
        UnsupportedModelError,
        "a second time",
    ),
}


@pytest.mark.parametrize(("loss_fn", "error", "words"), LOSSES.values(), ids=LOSSES)
def test_a_loss_without_a_gradient(loss_fn: Callable[..., Tensor], error: type[LswagError], words: str) -> None:
    with pytest.raises(error, match=words) as raised:
        score(Net(lambda net, x: net.last(net.first(x).relu())), loss_fn=loss_fn)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("proxy", ["lswag", "grasp", "jacov", "te_nas_ntk", "synflow"])
def test_complex_outputs_are_refused_and_may_be_turned_into_real_ones(proxy: str) -> None:
    model = Net(lambda net, x: torch.complex(net.last(net.first(x).relu()), net.last(x.new_ones(len(x), 8))))
    with pytest.raises(InputError, match=r"complex(64|128), not real logits"):
        score(model, proxy=proxy)
    assert math.isfinite(score(model, proxy=proxy, output=lambda z: z.abs()).value)


@pytest.mark.parametrize("proxy", ["lswag", "grasp", "jacov", "te_nas_ntk", "synflow", "vkdnw", "dextr"])
def test_sparse_outputs_are_refused_and_may_be_turned_into_dense_ones(proxy: str) -> None:
    model = Net(lambda net, x: net.last(net.first(x).relu()).to_sparse())
    with pytest.raises(InputError, match=r"logits of torch\.sparse_coo; say output=lambda z: z\.to_dense\(\)"):
        score(model, proxy=proxy)
    assert math.isfinite(score(model, proxy=proxy, output=lambda z: z.to_dense()).value)


def test_sparse_outputs_are_no_obstacle_to_patterns() -> None:
    model = Net(lambda net, x: net.last(net.first(x).relu()).to_sparse())
    assert score(model, proxy="swap").error is None


def test_what_a_backward_of_the_users_raises_stays_what_it_is() -> None:
    class Raising(NoBackward):
        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            raise KeyError("of the user's")

    with pytest.raises(KeyError, match="of the user's"):
        score(Net(lambda net, x: net.last(Raising.apply(net.first(x)).relu())))
