"""The test networks themselves: they run, samples are independent, expectations name real parameters."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks import N_CLASSES, NETWORKS, Network, select
from networks.registry import cast

every = pytest.mark.parametrize("net", NETWORKS.values(), ids=list(NETWORKS))


def call(model: nn.Module, inputs: Any) -> Any:
    """Call the model as its inputs ask: a dict by keyword, a tuple by position."""
    if isinstance(inputs, dict):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple) else model(inputs)


def losses(net: Network, outputs: Any, targets: Tensor) -> Tensor:
    if net.loss_fn is not None:
        return net.loss_fn(outputs, targets)
    return F.cross_entropy(getattr(outputs, "logits", outputs), targets, reduction="none")


def first_sample(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value[:1]
    items = {key: item[:1] for key, item in value.items()} if isinstance(value, dict) else None
    return items if items is not None else tuple(item[:1] for item in value)


@every
def test_expected_names_are_parameters(net: Network) -> None:
    model, _ = net.build()
    names = {name for name, _ in model.named_parameters()}
    assert set(net.observed) | set(net.skipped) <= names
    assert not set(net.observed) & set(net.skipped)


@every
def test_one_loss_a_sample_and_a_gradient_for_each_observed_weight(net: Network) -> None:
    model, (inputs, targets) = net.build()
    loss = losses(net, call(model, inputs), targets)
    assert loss.shape == (len(targets),)
    loss.sum().backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    for name in net.observed:
        assert gradients[name] is not None, name
        assert gradients[name].abs().max() > 0, name


@pytest.mark.parametrize("net", select(without=("coupled", "random")), ids=lambda net: net.name)
def test_a_sample_alone_has_the_loss_it_has_in_the_batch(net: Network) -> None:
    model, (inputs, targets) = net.build()
    with torch.no_grad():
        together = losses(net, call(model, inputs), targets)[:1]
        alone = losses(net, call(model, first_sample(inputs)), targets[:1])
    torch.testing.assert_close(alone, together, rtol=1e-12, atol=1e-12)  # float64: only the order of sums differs


@pytest.mark.parametrize("net", select("coupled"), ids=lambda net: net.name)
def test_coupled_samples_are_coupled(net: Network) -> None:
    model, (inputs, targets) = net.build()
    together = losses(net, call(model, inputs), targets)[:1]
    alone = losses(net, call(model, inputs[:2]), targets[:2])[:1]
    assert not torch.allclose(alone, together)


@every
def test_float32_and_float64_hold_the_same_values(net: Network) -> None:
    single, (inputs, _) = net.build(torch.float32)
    double, (inputs_double, _) = net.build(torch.float64)
    for (name, one), two in zip(single.named_parameters(), double.parameters(), strict=True):
        assert torch.equal(one.double(), two), name
    assert torch.equal(_first_tensor(cast(inputs, torch.float64)), _first_tensor(inputs_double))


def _first_tensor(value: Any) -> Tensor:
    while not isinstance(value, Tensor):
        value = next(iter(value.values() if isinstance(value, dict) else value))
    return value


def test_building_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    NETWORKS["mlp"].build()
    assert torch.equal(torch.get_rng_state(), before)


def test_select_filters_by_tag() -> None:
    assert {net.name for net in select("refused")} == {
        "checkpoint", "checkpoint_reentrant", "checkpoint_reentrant_body", "energy"
    }  # fmt: skip
    assert not any("refused" in net.tags for net in select(without=("refused",)))
    assert len(NETWORKS["mlp"].build()[1][1].unique()) == N_CLASSES
