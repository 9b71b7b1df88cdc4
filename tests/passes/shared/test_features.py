"""Features by name, by pattern and by function; hooks that leave nothing behind."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lswag_fast.errors import InputError
from lswag_fast.passes.shared.features import feature_tensors
from support.snapshot import assert_unchanged, snapshot

X = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))


class Doubling(nn.Module):
    """Adds to its input in place, as residual blocks do."""

    def forward(self, x: Tensor) -> Tensor:
        return x.add_(x)


class Blocks(nn.Module):
    """Registers its blocks in another order than it runs them, the first twice, one never."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(5, 5), nn.ReLU()) for _ in range(2)])
        self.unused = nn.Linear(5, 5)
        self.head = nn.Linear(5, 3)
        self.doubling = Doubling()

    def forward(self, x: Tensor) -> Tensor:
        first = self.blocks[1](x)
        second = self.blocks[0](first)
        third = self.blocks[1](second)
        return self.head(self.doubling(third))

    def stages(self, x: Tensor) -> list[Tensor]:
        first = self.blocks[1](x)
        second = self.blocks[0](first)
        return [first, second, self.blocks[1](second)]


class WithFeatures(Blocks):
    def forward_features(self, x: Tensor) -> Tensor:
        return self.stages(x)[-1]


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    assert len(found) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_name_gives_the_output_of_that_module() -> None:
    model = Blocks()
    assert_same(feature_tensors(model, X, "blocks.0"), model.stages(X)[1:2])


def test_a_pattern_gives_every_call_in_order_of_execution() -> None:
    model = Blocks()
    assert_same(feature_tensors(model, X, "blocks.*"), model.stages(X))


def test_a_star_stays_within_one_part_of_a_name() -> None:
    model = Blocks()
    before_relu = [model.blocks[1][0](X)]
    before_relu.append(model.blocks[0][0](before_relu[0].relu()))
    before_relu.append(model.blocks[1][0](before_relu[1].relu()))
    assert_same(feature_tensors(model, X, "blocks.*.0"), before_relu)


def test_what_follows_in_place_does_not_change_features() -> None:
    """`doubling` adds to the output of the last block in place."""
    model = Blocks()
    third = model.stages(X)[2]
    assert third.abs().sum() > 0
    assert torch.equal(feature_tensors(model, X, "blocks.*")[2], third)


def test_features_lie_on_the_path_of_the_gradient() -> None:
    """What is captured is what the model continues with, so later features have a gradient in earlier ones."""
    first, second, third = feature_tensors(Blocks(), X, "blocks.*")
    gradients = torch.autograd.grad(third.sum(), (first, second))
    assert all(gradient.shape == X.shape and gradient.abs().sum() > 0 for gradient in gradients)


def test_a_function_gives_one_tensor_or_several() -> None:
    model = Blocks()
    assert_same(feature_tensors(model, X, lambda m, x: m.stages(x)), model.stages(X))
    assert_same(feature_tensors(model, X, lambda m, x: m.stages(x)[0]), model.stages(X)[:1])


@pytest.mark.parametrize("inputs", [X, (X,), {"x": X}], ids=["tensor", "tuple", "dict"])
def test_the_default_is_forward_features(inputs: Any) -> None:
    model = WithFeatures()
    assert_same(feature_tensors(model, inputs, None), model.stages(X)[2:])
    assert_same(feature_tensors(model, inputs, "blocks.0"), model.stages(X)[1:2])


def test_without_forward_features_the_message_says_who_needs_them() -> None:
    with pytest.raises(InputError, match=r"^zen needs features: Blocks has no forward_features; pass features="):
        feature_tensors(Blocks(), X, None, "zen needs features")


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ("blocks.7", "features='blocks.7' is the name of no module of Blocks"),
        ("", "features='' is the name of no module"),
        ("bloc", "features='bloc' is the name of no module"),
        ("unused", "features='unused': unused never ran"),
        ("blocks", "features='blocks': blocks never ran"),
        (3, "features must be a name, a pattern of names or a function, got 3"),
        (lambda model, x: None, "gave NoneType where a tensor is needed"),
        (lambda model, x: [], "returned no features"),
        (lambda model, x: [x, "x"], "gave str where a tensor is needed"),
    ],
)
def test_bad_features_are_named(features: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        feature_tensors(Blocks(), X, features)


def test_complex_features_are_refused_rather_than_cut_to_their_real_part() -> None:
    model = nn.Linear(3, 2, dtype=torch.complex64)
    with pytest.raises(InputError, match=r"gave complex features of shape \(4, 2\); name real ones"):
        feature_tensors(model, torch.rand(4, 3), lambda module, x: module(x.to(torch.complex64)))


def test_a_module_with_other_outputs_is_named() -> None:
    with pytest.raises(InputError, match="module '0' gave tuple where a tensor is needed"):
        feature_tensors(nn.Sequential(nn.LSTM(5, 5)), X, "0")


def test_a_shared_module_goes_by_any_of_its_names_and_counts_once_a_call() -> None:
    layer = nn.Linear(5, 5)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    first = layer(X)
    assert_same(feature_tensors(model, X, "2"), [first, layer(first.relu())])
    assert_same(feature_tensors(model, X, "[02]"), [first, layer(first.relu())])


def test_the_hooks_are_removed() -> None:
    model = Blocks()
    before = snapshot(model)
    feature_tensors(model, X, "blocks.*")
    assert_unchanged(model, before)


def test_the_hooks_are_removed_after_an_exception() -> None:
    model = Blocks()
    before = snapshot(model)
    with pytest.raises(RuntimeError):
        feature_tensors(model, torch.zeros(4, 6), "blocks.*")
    assert_unchanged(model, before)
