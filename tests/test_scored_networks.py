"""Every network of the zoo scored, against per-sample gradients in float64 and against what it is expected to show."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lswag_fast
from lswag_fast import Score, reference
from lswag_fast.errors import LswagWarning, NoActivationsError, UnsupportedModelError
from networks import NETWORKS, Network, select
from support.oracle import (
    SHOWN,
    exact_gradients,
    plain_gradients,
    shares_of_the_batch_gradient,
    trainability_of,
)

# The kernel's and torch's float64 sums differ in order only; near-zero sigmas make 1/sigma magnify the last bits.
FLOAT64_TOLERANCE = 1e-9
FLOAT32_TOLERANCE = 1e-4

SCORED = select(without=("no_activation", "refused"))
INDEPENDENT = [net for net in SCORED if not net.tags & {"coupled", "random"}]


def named(nets: list[Network]) -> Any:
    return pytest.mark.parametrize("net", nets, ids=[net.name for net in nets])


def scored(net: Network, dtype: torch.dtype = torch.float64, **options: Any) -> Score:
    """Score with few pattern samples; warnings about coupled samples and skipped weights have tests of their own."""
    model, batch = net.build(dtype)
    with warnings.catch_warnings():
        if "coupled" in net.tags or net.skipped:
            warnings.simplefilter("ignore", LswagWarning)
        return lswag_fast.score(model, batch, loss_fn=net.loss_fn, pattern_samples=SHOWN, **options)


def close(found: float, expected: float, tolerance: float) -> bool:
    return found == expected or math.isclose(found, expected, rel_tol=tolerance, abs_tol=tolerance)


@named(SCORED)
def test_observed_derived_and_skipped_are_as_registered(net: Network) -> None:
    result = scored(net)
    derived = [layer.name for layer in result.layers if layer.kind == "derived"]
    assert {layer.name for layer in result.layers} - set(derived) == set(net.observed)
    assert len(derived) == net.n_derived
    skipped = {skip.name: skip.reason for skip in result.skipped}
    assert set(net.skipped) <= skipped.keys()
    assert all(skipped.values())
    assert not skipped.keys() & set(net.observed)


@named(INDEPENDENT)
def test_trainability_in_float64_is_that_of_per_sample_gradients(net: Network) -> None:
    expected = exact_gradients(net, net.observed)
    for layer in scored(net).layers:
        if layer.kind != "derived":
            assert close(layer.trainability, trainability_of(expected[layer.name]), FLOAT64_TOLERANCE), layer.name
            if "views" not in net.tags:
                assert layer.n_weights == expected[layer.name][0].numel()


@named([net for net in INDEPENDENT if "autocast" not in net.tags])
def test_trainability_in_float32_is_as_near_as_torch(net: Network) -> None:
    exact, plain = exact_gradients(net, net.observed), plain_gradients(net, net.observed, torch.float32)
    for layer in scored(net, torch.float32).layers:
        if layer.kind != "derived":
            target = trainability_of(exact[layer.name])
            allowed = max(FLOAT32_TOLERANCE, 3 * abs(trainability_of(plain[layer.name]) - target))
            assert close(layer.trainability, target, allowed), layer.name


@named(select("autocast"))
def test_autocast_is_as_near_to_bfloat16_gradients_as_bfloat16_allows(net: Network) -> None:
    plain = plain_gradients(net, net.observed, torch.float32)
    for layer in scored(net, torch.float32).layers:
        # torch rounds each per-sample weight gradient to bfloat16 (8 bits), the kernel sums in float32.
        assert close(layer.trainability, trainability_of(plain[layer.name]), 2**-6), layer.name


@named(select("coupled"))
def test_train_mode_batchnorm_gives_shares_of_the_batch_gradient(net: Network) -> None:
    shares = shares_of_the_batch_gradient(net)
    result = scored(net)
    assert {layer.name for layer in result.layers} == shares.keys()
    for layer in result.layers:
        assert close(layer.trainability, trainability_of(shares[layer.name]), FLOAT64_TOLERANCE), layer.name


@named(select("coupled"))
def test_train_mode_batchnorm_is_said_in_a_warning(net: Network) -> None:
    model, batch = net.build()
    with pytest.warns(LswagWarning, match="BatchNorm in train mode"):
        lswag_fast.score(model, batch, pattern_samples=SHOWN)


@named(select("random"))
def test_dropout_is_seeded(net: Network) -> None:
    same, other = scored(net, seed=3), scored(net, seed=4)
    assert scored(net, seed=3).layers == same.layers
    assert other.value != same.value


@named(select("no_activation"))
def test_a_network_without_activations_is_refused(net: Network) -> None:
    with pytest.raises(NoActivationsError, match="activation"):
        scored(net)


@named(select("refused"))
def test_a_refused_network_is_refused_by_name(net: Network) -> None:
    with pytest.raises(UnsupportedModelError, match=r"checkpointing|inside of its own forward pass"):
        scored(net)


def per_sample(model: nn.Module, batch: tuple[Tensor, Tensor], name: str) -> Tensor:
    """Per-sample gradients of one parameter of a plain model under cross-entropy."""
    return reference.per_sample_gradients(model, batch, [name])[name]


class EffectiveQkv(nn.Module):
    """The network "interleaved_qkv" with its effective weight as a parameter."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        with torch.no_grad():
            self.rows = nn.Parameter(torch.cat([model.weight[i:18:3, :6] for i in range(3)]))
        self.head = model.head

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = nn.functional.linear(x, self.rows).chunk(3, -1)
        mixed = (query @ key.transpose(1, 2)).softmax(-1) @ value
        return self.head(nn.functional.gelu(x + mixed).mean(1))


class EffectiveKernel(nn.Module):
    """The network "dynamic_conv_shared" with its kernel as a parameter."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.kernel = nn.Parameter(model.maker(model.code).detach().reshape(4, 3, 3, 3))
        self.head = model.head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(nn.functional.conv2d(x, self.kernel).relu().mean((2, 3)))


def unnormed(model: nn.Module, index: int) -> nn.Module:
    nn.utils.parametrize.remove_parametrizations(model[index], "weight")
    return model


@pytest.mark.parametrize(
    ("name", "plain", "parameter"),
    [
        ("weight_norm", lambda model: unnormed(model, 2), "2.weight"),
        ("weight_norm_conv", lambda model: unnormed(model, 0), "0.weight"),
        ("interleaved_qkv", EffectiveQkv, "rows"),
        ("dynamic_conv_shared", EffectiveKernel, "kernel"),
    ],
)
def test_a_computed_weight_has_the_statistic_of_its_effective_tensor(name: str, plain: Any, parameter: str) -> None:
    model, batch = NETWORKS[name].build()
    (layer,) = (layer for layer in scored(NETWORKS[name]).layers if layer.kind == "derived")
    expected = trainability_of(per_sample(plain(model), batch, parameter))
    assert close(layer.trainability, expected, FLOAT64_TOLERANCE)
