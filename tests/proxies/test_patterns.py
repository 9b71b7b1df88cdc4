"""NWOT, SWAP and its regularised form against the sign matrices of a plain forward pass."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast import reference, score, score_many
from lswag_fast.errors import InputError, NoActivationsError
from networks import NETWORKS, Network
from support.oracle import SHOWN, module_activations

SEEN = ("mlp", "cnn_eval", "resnet_eval", "depthwise", "conv1d")  # their activations are modules, seen by hooks


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", SEEN)
def test_against_the_sign_matrices(name: str, dtype: torch.dtype) -> None:
    model, batch = NETWORKS[name].build(dtype)
    activations = module_activations(model, batch[0])
    scores = score_many(model, batch, proxies=["nwot", "swap", "reg_swap"], pattern_samples=SHOWN)
    # The agreements are integers: only the determinant rounds, and in float64 on both sides.
    assert scores["nwot"].value == pytest.approx(reference.nwot(activations), rel=1e-12)
    assert scores["swap"].value == reference.swap(activations, SHOWN)
    n_params = sum(p.numel() for p in model.parameters())
    assert scores["reg_swap"].value == pytest.approx(
        reference.reg_swap(activations, SHOWN, n_params, 25.0, 25.0), rel=1e-12
    )


def test_a_transformer_has_patterns() -> None:
    model, batch = NETWORKS["vit"].build()
    scores = score_many(model, batch, proxies=["nwot", "swap"], pattern_samples=SHOWN)
    assert math.isfinite(scores["nwot"].value)
    assert 1 < scores["swap"].value <= 2**SHOWN


def test_nwot_takes_the_whole_batch_and_swap_the_pattern_samples() -> None:
    model, batch = NETWORKS["mlp"].build()
    assert score(model, batch, proxy="swap", pattern_samples=1).value == 2
    assert score(model, batch, proxy="swap", pattern_samples=1).n_pattern_samples == 1
    both = [score(model, batch, proxy="nwot", pattern_samples=s).value for s in (1, SHOWN)]
    assert both[0] == both[1]


def test_the_loss_and_the_labels_play_no_part() -> None:
    model, (inputs, targets) = NETWORKS["mlp"].build()
    for proxy in ("nwot", "swap"):
        base = score(model, (inputs, targets), proxy=proxy, pattern_samples=SHOWN)
        other = score(model, (inputs, targets.flip(0)), proxy=proxy, pattern_samples=SHOWN)
        assert base.value == other.value
        assert base.layers == ()


def test_two_equal_samples_make_nwot_infinite_and_said_so() -> None:
    model, (inputs, targets) = NETWORKS["mlp"].build()
    inputs[1] = inputs[0]
    found = score(model, (inputs, targets), proxy="nwot")
    assert found.value == -math.inf
    assert found.error is not None
    assert "no finite value" in found.error


def test_the_order_of_the_samples_does_not_matter_to_nwot(net: Network) -> None:
    model, (inputs, targets) = net.build()
    base = score(model, (inputs, targets), proxy="nwot").value
    assert score(model, (inputs.flip(0), targets.flip(0)), proxy="nwot").value == pytest.approx(base, rel=1e-9)


def test_scaling_the_network_by_a_positive_number_changes_no_pattern() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 9, bias=False), nn.ReLU(), nn.Linear(9, 3, bias=False)).double()
    batch = torch.randn(8, 6).double(), torch.arange(8) % 3
    base = score_many(model, batch, proxies=["nwot", "swap"], pattern_samples=SHOWN)
    with torch.no_grad():
        model[0].weight.mul_(4)
    scaled = score_many(model, batch, proxies=["nwot", "swap"], pattern_samples=SHOWN)
    assert [s.value for s in scaled.values()] == [s.value for s in base.values()]


def test_reg_swap_prefers_its_size() -> None:
    model, batch = NETWORKS["mlp"].build()
    n_params = sum(p.numel() for p in model.parameters())
    swap = score(model, batch, proxy="swap", pattern_samples=SHOWN).value
    fitting = {"reg_swap": {"mu": n_params / 1e6, "sigma": 1e-3}}
    found = score(model, batch, proxy="reg_swap", pattern_samples=SHOWN, proxy_options=fitting)
    assert found.value == pytest.approx(math.log(swap), rel=1e-12)
    with pytest.raises(InputError, match="mu must be a number and sigma a positive one"):
        score(model, batch, proxy="reg_swap", pattern_samples=SHOWN, proxy_options={"reg_swap": {"sigma": 0.0}})


@pytest.mark.parametrize("proxy", ["nwot", "swap", "reg_swap", "lswag"])
def test_without_activations(proxy: str) -> None:
    model, batch = NETWORKS["no_activation"].build()
    with pytest.raises(NoActivationsError, match="no activation function was seen"):
        score(model, batch, proxy=proxy, pattern_samples=SHOWN)


class Mixed(nn.Module):
    """A layer that takes each feature in the order of its values over all tokens of all samples."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.expert, self.last = nn.Linear(5, 6), nn.Linear(6, 6), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.first(x).flatten(0, 1)
        out = tokens + F.silu(self.expert(tokens.sort(0)[0]))
        return self.last(out.unflatten(0, x.shape[:2]).mean(1))


class OfTheMean(nn.Module):
    """Its one activation is of the mean over the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(5, 7), nn.Linear(7, 4)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        return self.last(hidden + F.silu(hidden.mean(0)))


@pytest.mark.filterwarnings("ignore:only .* were observed", "ignore:calls that bring samples of the batch together")
@pytest.mark.parametrize("proxy", ["swap", "lswag"])
@pytest.mark.parametrize(("made", "shape", "name"), [(Mixed, (6, 5, 5), "silu@2"), (OfTheMean, (6, 5), "silu@1")])
def test_an_activation_whose_samples_cannot_be_placed_is_named(made: Any, shape: Any, name: str, proxy: str) -> None:
    torch.manual_seed(0)
    batch = torch.randn(shape), torch.arange(6) % 4
    with pytest.raises(NoActivationsError, match=rf"1 activation\(s\) were seen, but the samples .* \({name}: "):
        score(made(), batch, proxy=proxy, pattern_samples=SHOWN)


def test_nwot_refuses_chunks_and_swap_does_not() -> None:
    model, batch = NETWORKS["mlp"].build()
    scores = score_many(model, batch, proxies=["nwot", "swap"], chunk_size=2, pattern_samples=SHOWN)
    assert "leave chunk_size out" in (scores["nwot"].error or "")
    alone = score_many(model, batch, proxies=["nwot"], chunk_size=2)
    assert alone["nwot"].error == scores["nwot"].error
    assert scores["swap"].value == score(model, batch, proxy="swap", pattern_samples=SHOWN).value
