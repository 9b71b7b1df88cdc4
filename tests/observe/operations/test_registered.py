"""Activations of the user's own: functions and classes, found where they return."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial, wraps
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lswag_fast
from lswag_fast import reference
from lswag_fast.errors import InputError, UnsupportedModelError
from lswag_fast.observe.operations import activations, registered

B = 6


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(registered, "_REGISTERED", {})
    known = dict(activations.ACTIVATIONS)
    yield
    for added in activations.ACTIVATIONS.keys() - known.keys():
        del activations.ACTIVATIONS[added]


def snake(x: Tensor) -> Tensor:
    """An activation that torch does not have, with one inside that must not count."""
    return x + torch.sin(x) ** 2 - F.relu(x) / 4


def doubled(function: Any) -> Any:
    @wraps(function)
    def wrapper(x: Tensor) -> Tensor:
        return 2 * function(x)

    return wrapper


class Snake(nn.Module):
    """The same as a class."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.sin(x) ** 2 - F.relu(x) / 4


class OtherSnake(Snake):
    """Another class with the same forward."""


def network(activation: Any) -> nn.Module:
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(5, 16), nn.Linear(16, 3)
            self.activation = activation

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.activation(self.first(x)))

    return Net()


def paired(model: nn.Module, **options: Any) -> list[str | None]:
    batch = torch.randn(B, 5, generator=torch.Generator().manual_seed(1)), torch.arange(B) % 3
    found = lswag_fast.score(model, batch, pattern_samples=B, **options)
    with torch.no_grad():
        features = model.activation(model.first(batch[0]))
    assert {layer.cardinality for layer in found.layers} == {len(reference.neuron_patterns(features, B))}
    return [layer.activation for layer in found.layers]


def closure(scale: float) -> Any:
    def scaled_snake(x: Tensor) -> Tensor:
        return snake(scale * x)

    return scaled_snake


@pytest.mark.parametrize(
    ("activation", "name"),
    [(snake, "snake"), (closure(2.0), "scaled_snake"), (lambda x: x - torch.cos(x), "<lambda>"),
     (F.softsign, "softsign"), (torch.sin, "sin"), (Tensor.atan, "atan")],
    ids=["function", "closure", "lambda", "torch, in Python", "torch", "method"],
)  # fmt: skip
@pytest.mark.parametrize("options", [{}, {"chunk_size": 3}], ids=str)
def test_a_registered_function_is_an_activation_where_it_is_called(activation, name, options) -> None:
    assert lswag_fast.register_activation(activation) is activation
    assert [pair.split("@")[0] for pair in paired(network(activation), **options)] == [name, name]


def test_a_registered_class_is_an_activation_and_no_other_with_its_forward() -> None:
    lswag_fast.register_activation(OtherSnake)
    assert [pair.split("@")[0] for pair in paired(network(OtherSnake()))] == ["OtherSnake", "OtherSnake"]
    lswag_fast.register_activation(Snake)
    assert [pair.split("@")[0] for pair in paired(network(Snake()))] == ["Snake", "Snake"]


def test_a_registration_holds_for_every_pass_and_twice_is_once() -> None:
    for _ in range(2):
        lswag_fast.register_activation(snake)
    (entries,) = registered._REGISTERED.values()
    assert len(entries) == 1
    batch = torch.randn(B, 5), torch.arange(B) % 3
    scores = lswag_fast.score_many(network(snake), batch, proxies=["t_cet", "nwot", "swap"], pattern_samples=B)
    assert [scores[name].error for name in ("t_cet", "nwot", "swap")] == [None] * 3


def test_where_the_samples_lie_is_probed_for_a_registered_one_too() -> None:
    """As many tokens as samples, in an order that only a probe can tell."""

    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(5, 16), nn.Linear(16, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(snake(self.first(x.transpose(0, 1))).mean(0))

    lswag_fast.register_activation(snake)
    found = lswag_fast.score(Tokens(), (torch.randn(B, B, 5), torch.arange(B) % 3), pattern_samples=B)
    assert [layer.activation for layer in found.layers] == ["snake@2", "snake@2"]  # behind the one inside


def test_a_wrapped_function_is_found_by_what_it_wraps() -> None:
    activation = lswag_fast.register_activation(doubled(snake))
    assert [pair.split("@")[0] for pair in paired(network(activation))] == ["snake", "snake"]


@pytest.mark.parametrize(
    "given", [partial(snake), nn.ReLU(), nn.Module, 3, "relu", int], ids=lambda given: type(given).__name__
)
def test_what_cannot_be_registered_is_refused(given: Any) -> None:
    with pytest.raises(InputError, match="no activation that can be registered"):
        lswag_fast.register_activation(given)


def test_an_activation_that_returns_no_tensor_is_refused_by_name() -> None:
    def pair_of(x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x

    lswag_fast.register_activation(pair_of)
    model = network(lambda x: pair_of(x)[0])
    with pytest.raises(InputError, match="pair_of returned tuple, not a tensor"):
        lswag_fast.score(model, (torch.randn(B, 5), torch.arange(B) % 3))
    assert sys.getprofile() is None


def test_an_active_profiler_is_left_alone() -> None:
    lswag_fast.register_activation(snake)

    def profiler(*event: Any) -> None:
        return None

    sys.setprofile(profiler)
    try:
        with pytest.raises(UnsupportedModelError, match="profiler is active"):
            lswag_fast.score(network(snake), (torch.randn(B, 5), torch.arange(B) % 3))
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)


def test_nothing_is_watched_without_a_registration_nor_after_a_pass() -> None:
    with registered.ReturnWatch():
        assert sys.getprofile() is None
    lswag_fast.register_activation(snake)
    paired(network(snake))
    assert sys.getprofile() is None
