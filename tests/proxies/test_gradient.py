"""grad_norm, plain, snip and fisher against plain autograd in float64."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lswag_fast import reference, score, score_many
from lswag_fast.errors import ZeroSaliencyError
from networks import NETWORKS, Network, select
from proxies.conftest import mean_loss, plain_float32
from support.oracle import SHOWN
from support.snapshot import assert_unchanged, snapshot

FORMULAS = {"grad_norm": reference.grad_norm, "plain": reference.plain, "snip": reference.snip}
NAMES = [*FORMULAS, "fisher"]
WHOLE = [n for n in select(without=("refused", "random")) if n.n_derived == 0 and not n.name.startswith("dynamic")]
"""Networks whose observed weights are parameters; a computed weight has no gradient of its own to compare with."""
KINK = 3  # times the distance of plain float32 torch from float64, the bound of the project's accuracy contract


def values(net: Network, dtype: torch.dtype, **options: Any) -> dict[str, float]:
    model, batch = net.build(dtype)
    scores = score_many(model, batch, proxies=NAMES, loss_fn=net.loss_fn, pattern_samples=SHOWN, **options)
    assert all(s.error is None for s in scores.values()), scores
    return {name: s.value for name, s in scores.items()}


@pytest.mark.filterwarnings("ignore:a BatchNorm in train mode", "ignore:only .* were observed")
@pytest.mark.parametrize("net", WHOLE, ids=lambda net: net.name)
def test_formulas_on_every_network(net: Network) -> None:
    model, batch = net.build()
    pairs = reference.weights_and_gradients(model, batch, net.observed, mean_loss(net)).values()
    found = values(net, torch.float64)
    for name, formula in FORMULAS.items():
        size = reference.snip(pairs) if name == "plain" else 0.0  # plain's terms cancel
        # Both are float64 sums in another order; autocast computes in bfloat16, whose products differ by their order.
        tolerance = 1e-2 if net.name == "autocast" else 1e-9
        assert found[name] == pytest.approx(formula(pairs), rel=tolerance, abs=tolerance * size), name


def test_within_the_accuracy_of_float32(net: Network) -> None:
    model, batch = net.build()
    exact = reference.weights_and_gradients(model, batch, net.observed, mean_loss(net)).values()
    plain = plain_float32(net).values()
    found = values(net, torch.float32)
    for name, formula in FORMULAS.items():
        size = max(abs(formula(exact)), reference.snip(exact))
        bound = max(1e-4 * size, KINK * abs(formula(plain) - formula(exact)))
        assert abs(found[name] - formula(exact)) <= bound, name


@pytest.mark.parametrize("name", ["mlp", "cnn_eval", "resnet_eval", "depthwise", "grouped", "conv1d", "vit"])
def test_fisher(name: str) -> None:
    net = NETWORKS[name]
    model, batch = net.build()
    expected = reference.fisher(model, batch, mean_loss(net))
    assert values(net, torch.float64)["fisher"] == pytest.approx(expected, rel=1e-9)  # float64 sums in another order
    assert values(net, torch.float32)["fisher"] == pytest.approx(expected, rel=1e-4)


def test_fisher_of_an_output_that_an_activation_overwrites() -> None:
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(5, 7), nn.Linear(7, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(F.relu_(self.first(x)))

    torch.manual_seed(0)
    model, batch = InPlace().double(), (torch.randn(8, 5).double(), torch.arange(8) % 3)
    found = score(model, batch, proxy="fisher", pattern_samples=SHOWN)
    assert found.value == pytest.approx(reference.fisher(model, batch), rel=1e-12)


def test_the_order_of_the_samples_does_not_matter(net: Network) -> None:
    model, (inputs, targets) = net.build()
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(1))
    expected = values(net, torch.float64)
    shuffled = score_many(model, (inputs[order], targets[order]), proxies=NAMES, pattern_samples=SHOWN)
    for name in NAMES:
        assert shuffled[name].value == pytest.approx(expected[name], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("name", "power"), [("grad_norm", 1), ("plain", 1), ("snip", 1), ("fisher", 2)])
def test_scaling_the_loss_scales_by_its_power(name: str, power: int) -> None:
    model, batch = NETWORKS["mlp"].build()

    def tripled(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return 3 * F.cross_entropy(outputs, targets, reduction="none")

    base = score(model, batch, proxy=name).value
    assert score(model, batch, proxy=name, loss_fn=tripled).value == pytest.approx(3**power * base, rel=1e-12)


@pytest.mark.parametrize("chunk_size", [2, 3])
def test_chunks_do_not_change_them(net: Network, chunk_size: int) -> None:
    expected = values(net, torch.float64)
    for name, value in values(net, torch.float64, chunk_size=chunk_size).items():
        assert value == pytest.approx(expected[name], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", ["plain", "snip", "fisher"])
def test_a_head_that_is_zero_has_no_saliency(name: str) -> None:
    """`plain` has values of both signs: a 0 would rank above live networks."""
    model, batch = NETWORKS["mlp"].build()
    for parameter in model[-1].parameters():
        nn.init.zeros_(parameter)
    with pytest.raises(
        ZeroSaliencyError, match=f"{name} of all 3 weights is zero; no gradient varies in 0.weight, 2.w"
    ):
        score(model, batch, proxy=name)
    found = score_many(model, batch, proxies=[name, "grad_norm"])
    assert math.isnan(found[name].value)
    assert found["grad_norm"].value > 0  # the head's own gradient


def test_a_loss_without_gradient_gives_no_grad_norm() -> None:
    model, batch = NETWORKS["mlp"].build()
    with pytest.raises(ZeroSaliencyError, match="grad_norm of all 3 weights is zero"):
        score(model, batch, proxy="grad_norm", loss_fn=lambda outputs, targets: 0 * outputs.sum(1))


def test_rows_of_a_wide_layer_estimate_the_sums() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 4)).double()
    batch = torch.randn(8, 16).double(), torch.arange(8) % 4
    exact, some = (score(model, batch, proxy="snip", row_fraction=f).value for f in (1.0, 0.5))
    assert some != exact
    assert some == pytest.approx(exact, rel=0.1)  # 32 of 64 random blocks of rows: a few per cent


@pytest.mark.parametrize("name", NAMES)
def test_the_model_is_left_as_it_was_also_after_an_exception(name: str) -> None:
    net = NETWORKS["resnet_eval"]
    model, batch = net.build()
    before = snapshot(model)
    score(model, batch, proxy=name)
    assert_unchanged(model, before)
    broken = copy.deepcopy(batch[1])

    def failing(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("a loss of the user's")

    with pytest.raises(RuntimeError, match="a loss of the user's"):
        score(model, (batch[0], broken), proxy=name, loss_fn=failing)
    assert_unchanged(model, before)
