"""te_nas_ntk and te_nas_regions against float64, by hand, and the ranks of both."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lswag_fast import LswagWarning, reference, score, score_many
from lswag_fast.errors import InputError, NonFiniteGradientError
from lswag_fast.passes.ntk import NtkMeasurements
from lswag_fast.proxies import get_proxy
from lswag_fast.proxies.registry import Measurements
from networks import NETWORKS, Network
from proxies.conftest import autoformer
from support.oracle import module_activations
from support.snapshot import assert_unchanged, snapshot


def kappa(model: nn.Module, batch: Any, **options: Any) -> float:
    return score(model, batch, proxy="te_nas_ntk", **options).value


def exact(net: Network, dtype: torch.dtype = torch.float64) -> float:
    model, (inputs, _) = net.build()
    return reference.te_nas_ntk(reference.ntk(model, inputs, net.observed, dtype))


def test_against_float64(net: Network) -> None:
    expected = exact(net)
    assert kappa(*net.build()) == pytest.approx(expected, rel=1e-7)  # float64; the smallest eigenvalue loses digits
    bound = max(1e-4 * expected, 3 * abs(exact(net, torch.float32) - expected))  # the accuracy contract
    assert abs(kappa(*net.build(torch.float32)) - expected) <= bound


@pytest.mark.parametrize("name", ["grouped", "depthwise", "conv1d", "called_twice", "tied_module", "flat_tokens"])
def test_other_networks(name: str) -> None:
    assert kappa(*NETWORKS[name].build()) == pytest.approx(exact(NETWORKS[name]), rel=1e-6)  # as above


def test_on_an_autoformer() -> None:
    model, batch = autoformer()
    names = [n for n, p in model.named_parameters() if n.endswith("weight") and p.dim() > 1]
    found, expected = kappa(model, batch), reference.te_nas_ntk(reference.ntk(model, batch[0], names))
    plain = reference.te_nas_ntk(reference.ntk(model, batch[0], names, torch.float32))
    assert abs(found - expected) <= max(1e-4 * expected, 3 * abs(plain - expected))  # the accuracy contract


def test_train_mode_batch_norm_is_warned_of() -> None:
    with pytest.warns(LswagWarning, match="BatchNorm in train mode"):
        assert kappa(*NETWORKS["cnn_train"].build()) > 1


def computed(*kernels: Tensor) -> float:
    return get_proxy("te_nas_ntk").compute(Measurements({"ntk": NtkMeasurements(dict(enumerate(kernels)))}))  # type: ignore[arg-type]


def test_the_formula() -> None:
    first, second = torch.diag(torch.tensor([1.0, 2.0]).double()), torch.diag(torch.tensor([1.0, 6.0]).double())
    assert computed(first, second) == pytest.approx(4.0, rel=1e-15)
    assert computed(torch.ones(2, 2).double()) >= 1e15  # singular up to rounding
    assert computed(torch.zeros(2, 2).double()) == math.inf
    with pytest.raises(NonFiniteGradientError, match="te_nas_ntk"):
        computed(torch.full((2, 2), math.nan).double())


class Scaled(nn.Module):
    """The logits of a model, a hundred times as large."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return 100 * self.model(x)


def test_the_scale_of_the_logits_and_the_order_of_the_samples_cancel(net: Network) -> None:
    model, (inputs, targets) = net.build()
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(1))
    found = kappa(model, (inputs, targets))
    assert kappa(model, (inputs[order], targets)) == pytest.approx(found, rel=1e-6)  # the smallest eigenvalue
    assert kappa(Scaled(model), (inputs, targets)) == pytest.approx(found, rel=1e-6)


def test_lower_is_better() -> None:
    assert get_proxy("te_nas_ntk").higher_is_better is False
    assert score(*NETWORKS["mlp"].build(), proxy="te_nas_ntk").higher_is_better is False


@pytest.mark.parametrize("name", ["mlp", "cnn_eval", "conv1d"])
def test_regions_are_the_distinct_rows_of_signs(name: str) -> None:
    model, (inputs, targets) = NETWORKS[name].build()
    inputs[3], inputs[4] = inputs[0], inputs[1] * (1 + 1e-12)  # the same region; its neighbour, also the same
    found = score(model, (inputs, targets), proxy="te_nas_regions").value
    assert found == reference.te_nas_regions(module_activations(model, inputs)) == len(targets) - 2


def test_both_are_had_by_the_name_of_the_whole() -> None:
    model, batch = NETWORKS["cnn_eval"].build(torch.float32)
    before = snapshot(model)
    scores = score_many(model, batch, proxies=["te_nas"])
    assert list(scores) == ["te_nas_ntk", "te_nas_regions"]
    assert scores.passes == ("standard", "ntk")
    assert_unchanged(model, before)
    with pytest.raises(InputError, match="te_nas is made of ranks among networks"):
        score(model, batch, proxy="te_nas")


def test_regions_need_the_whole_batch() -> None:
    with pytest.raises(InputError, match="te_nas_regions compares all samples"):
        score(*NETWORKS["mlp"].build(), proxy="te_nas_regions", chunk_size=2)
