"""grasp against a Hessian-gradient product in forward mode, in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast import reference, score, score_many
from lswag_fast.errors import ZeroSaliencyError
from lswag_fast.passes.double_backward import DoubleBackwardMeasurements
from lswag_fast.proxies import get_proxy
from lswag_fast.proxies.registry import Measurements
from networks import NETWORKS, Network
from proxies.conftest import autoformer, mean_loss
from support.oracle import call
from support.snapshot import assert_unchanged, snapshot


def test_it_adds_up_what_the_layers_lose() -> None:
    numbers = Measurements({"double_backward": DoubleBackwardMeasurements({"a": 2.5, "b": -1.0})})
    assert get_proxy("grasp").compute(numbers) == -1.5


def test_a_network_without_second_derivatives_has_no_value() -> None:
    numbers = Measurements({"double_backward": DoubleBackwardMeasurements({"a": 0.0, "b": -0.0})})
    with pytest.raises(ZeroSaliencyError, match="grasp of all 2 weights is zero"):
        get_proxy("grasp").compute(numbers)


def found(net: Network, dtype: torch.dtype = torch.float64) -> float:
    model, batch = net.build(dtype)
    return score(model, batch, proxy="grasp", loss_fn=net.loss_fn).value


def plain_float32(net: Network) -> float:
    """The published form in plain float32: the gradient of one pass as a constant in the next."""
    model, (inputs, targets) = net.build(torch.float32)
    weights = [p for name, p in model.named_parameters() if name in net.observed]

    def gradients(again: bool) -> tuple[Tensor, ...]:
        return torch.autograd.grad(mean_loss(net)(call(model, inputs), targets), weights, create_graph=again)

    g = gradients(again=False)
    product = sum((a * b).sum() for a, b in zip(g, gradients(again=True), strict=True))
    hg = torch.autograd.grad(product, weights)
    return -sum(float((w.detach() * h).sum()) for w, h in zip(weights, hg, strict=True))


@pytest.mark.parametrize(
    "name", ["mlp", "cnn_eval", "cnn_train", "resnet_eval", "depthwise", "conv1d", "frozen_middle", "vit"]
)
def test_against_float64(name: str) -> None:
    net = NETWORKS[name]
    model, batch = net.build()
    exact = reference.grasp(reference.grasp_terms(model, batch, net.observed, mean_loss(net)))
    assert found(net) == pytest.approx(exact, rel=1e-9)  # float64, another order of differentiation
    bound = max(1e-4 * abs(exact), 3 * abs(plain_float32(net) - exact))  # the accuracy contract of the project
    assert abs(found(net, torch.float32) - exact) <= bound


def test_torchs_own_attention() -> None:
    """In float32 the CPU's flash attention would raise for want of a second derivative; plain torch has no value."""
    net = NETWORKS["encoder_batch_first_odd"]
    model, batch = net.build()
    exact = reference.grasp(reference.grasp_terms(model, batch, net.observed, mean_loss(net)))
    assert found(net) == pytest.approx(exact, rel=1e-9)  # float64
    assert found(net, torch.float32) == pytest.approx(exact, rel=1e-4)  # the accuracy contract


def test_on_an_autoformer() -> None:
    model, batch = autoformer()
    names = [name for name, p in model.named_parameters() if name.endswith("weight") and p.dim() > 1]
    exact = reference.grasp(reference.grasp_terms(model, batch, names))
    assert score(model, batch, proxy="grasp").value == pytest.approx(exact, rel=1e-4)  # the accuracy contract


def test_the_order_of_the_samples_does_not_matter(net: Network) -> None:
    model, (inputs, targets) = net.build()
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(1))
    shuffled = score(model, (inputs[order], targets[order]), proxy="grasp").value
    assert shuffled == pytest.approx(found(net), rel=1e-9)  # float64 sums in another order


def test_scaling_the_loss_scales_by_its_square(net: Network) -> None:
    def tripled(outputs: Tensor, targets: Tensor) -> Tensor:
        return 3 * F.cross_entropy(outputs, targets, reduction="none")

    model, batch = net.build()
    assert score(model, batch, proxy="grasp", loss_fn=tripled).value == pytest.approx(9 * found(net), rel=1e-9)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_a_reduced_loss_makes_no_difference(net: Network, reduction: Any) -> None:
    def reduced(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets, reduction=reduction)

    model, batch = net.build()
    value = score(model, batch, proxy="grasp", loss_fn=reduced, loss_reduction=reduction).value
    assert value == pytest.approx(found(net), rel=1e-12)


def test_a_list_of_batches_is_one_batch(net: Network) -> None:
    model, (inputs, targets) = net.build()
    batches = list(zip(inputs.chunk(2), targets.chunk(2), strict=True))
    assert score(model, batches, proxy="grasp").value == found(net)


def test_it_takes_the_seed_for_dropout() -> None:
    model = nn.Sequential(nn.Linear(7, 12), nn.ReLU(), nn.Dropout(0.5), nn.Linear(12, 4))
    batch = torch.randn(6, 7), torch.arange(6) % 4
    first, again, other = (score(model, batch, proxy="grasp", seed=seed).value for seed in (1, 1, 2))
    assert first == again != other


def test_gradients_of_the_users_loss_stay_untouched() -> None:
    model, batch = NETWORKS["mlp"].build()
    temperature = torch.ones((), dtype=torch.float64, requires_grad=True)

    def tempered(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs / temperature, targets, reduction="none")

    expected = score(model, batch, proxy="grasp").value
    assert score(model, batch, proxy="grasp", loss_fn=tempered).value == pytest.approx(expected, rel=1e-12)
    assert temperature.grad is None


def test_the_model_is_left_as_it_was_also_after_an_exception() -> None:
    model, batch = NETWORKS["resnet_train"].build()
    before = snapshot(model)
    score(model, batch, proxy="grasp")
    assert_unchanged(model, before)

    def failing(outputs: Tensor, targets: Tensor) -> Tensor:
        raise RuntimeError("a loss of the user's")

    with pytest.raises(RuntimeError, match="a loss of the user's"):
        score(model, batch, proxy="grasp", loss_fn=failing)
    assert_unchanged(model, before)


def test_a_model_that_it_cannot_serve_leaves_the_other_proxies() -> None:
    class Detached(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).detach()

    model, batch = Detached(3, 4), (torch.randn(4, 3), torch.arange(4))
    scores = score_many(model, batch, proxies=["grasp", "l2_norm"])
    assert scores["l2_norm"].error is None
    assert "double_backward pass: the loss has no gradient" in str(scores["grasp"].error)
