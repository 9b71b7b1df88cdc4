"""VKDNW against its definition, its range, and its form of ranks."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from lswag_fast import score, score_many
from lswag_fast.errors import InputError, NonFiniteGradientError, ZeroSaliencyError
from lswag_fast.passes.empirical_fisher import EmpiricalFisherMeasurements
from lswag_fast.proxies import get_proxy
from lswag_fast.proxies.registry import Measurements
from lswag_fast.reference import vkdnw as reference
from networks import NETWORKS
from support.snapshot import assert_unchanged, snapshot


def computed(information: Tensor, name: str = "vkdnw") -> float:
    found = EmpiricalFisherMeasurements(7, information.double())
    return get_proxy(name).compute(Measurements({"empirical_fisher": found}))


@pytest.mark.parametrize("name", ["mlp", "cnn_eval", "resnet_eval", "vit"])
def test_against_the_definition(name: str) -> None:
    net = NETWORKS[name]
    model, batch = net.build()
    expected = reference.vkdnw(reference.fisher_information(model, batch[0], net.observed))
    assert score(model, batch, proxy="vkdnw").value == pytest.approx(expected, rel=1e-7)  # small singular values
    found = score(*net.build(torch.float32), proxy="vkdnw").value
    assert found == pytest.approx(expected, rel=1e-3)  # the same in float32
    single = score(model, batch, proxy="vkdnw_single").value
    assert single == pytest.approx(len(list(model.parameters())) + expected, rel=1e-9)


@pytest.mark.parametrize("name", ["cnn_eval", "cnn_train", "vit"])
def test_the_published_scalars_are_an_option(name: str) -> None:
    model, batch = NETWORKS[name].build()
    names = [name for name, _ in model.named_parameters()]
    expected = reference.vkdnw(reference.fisher_information(model, batch[0], names))
    options = {proxy: {"scalars": "all"} for proxy in ("vkdnw", "vkdnw_single")}
    scores = score_many(model, batch, proxies=list(options), proxy_options=options)
    assert scores["vkdnw"].value == pytest.approx(expected, rel=1e-7)  # small singular values
    assert scores["vkdnw_single"].value == pytest.approx(len(names) + expected, rel=1e-9)
    assert scores["vkdnw"].options["scalars"] == "all"
    mixed = score_many(model, batch, proxies=list(options), proxy_options={"vkdnw": {"scalars": "all"}})
    assert mixed["vkdnw"].value == scores["vkdnw"].value
    assert mixed["vkdnw_single"].value == pytest.approx(len(names) + score(model, batch, proxy="vkdnw").value, rel=1e-9)
    assert mixed["vkdnw_single"].value != scores["vkdnw_single"].value


def test_another_word_for_the_scalars_is_refused() -> None:
    model, batch = NETWORKS["mlp"].build()
    with pytest.raises(InputError, match="vkdnw: scalars must be 'weights' or 'all', got 'biases'"):
        score(model, batch, proxy="vkdnw", proxy_options={"vkdnw": {"scalars": "biases"}})
    found = Measurements({"empirical_fisher": EmpiricalFisherMeasurements(7, information_of_all=torch.zeros(4, 4))})
    with pytest.raises(ZeroSaliencyError, match="of too few parameters for any decile to be above 0"):
        get_proxy("vkdnw").compute(found, scalars="all")


def test_an_even_spectrum_has_the_largest_entropy_and_one_value_none() -> None:
    assert computed(torch.eye(20)) == pytest.approx(math.log(9), rel=1e-8)  # the constant in the logarithm
    assert computed(torch.eye(1)) == pytest.approx(math.log(9), rel=1e-8)
    steep = computed(torch.diag(10.0 ** -torch.arange(20.0)))
    assert 0 <= steep < 0.8
    assert computed(torch.eye(20), "vkdnw_single") == pytest.approx(7 + math.log(9), rel=1e-8)


@pytest.mark.parametrize("scalars", ["weights", "all"])
def test_no_order_of_samples_or_classes_matters_and_the_model_is_left_as_it_was(scalars: str) -> None:
    class Reordered(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x).flip(1)

    model, (inputs, targets) = NETWORKS["cnn_eval"].build()
    options = {"vkdnw": {"scalars": scalars}}
    before = snapshot(model)
    base = score(model, (inputs, targets), proxy="vkdnw", proxy_options=options).value
    assert_unchanged(model, before)
    order = torch.arange(len(inputs)).roll(1)
    for network, batch in ((model, (inputs[order], targets[order])), (Reordered(model), (inputs, targets))):
        found = score(network, batch, proxy="vkdnw", proxy_options=options).value
        assert found == pytest.approx(base, rel=1e-7)  # small singular values
    assert score(model, (inputs, targets.flip(0)), proxy="vkdnw", proxy_options=options).value == base  # no label


def test_the_scale_of_the_information_does_not_matter() -> None:
    spectrum = torch.diag(torch.arange(1.0, 12.0))
    assert computed(1000 * spectrum) == pytest.approx(computed(spectrum), rel=1e-9)


def test_what_gives_no_value() -> None:
    with pytest.raises(ZeroSaliencyError, match="vkdnw: the logits depend on the first elements of too few weights"):
        computed(torch.zeros(4, 4))
    one_of_many = torch.zeros(20, 20)
    one_of_many[3, 3] = 1  # the .9 decile lies between two zeros
    with pytest.raises(ZeroSaliencyError, match="of too few weights for any decile to be above 0"):
        computed(one_of_many)
    direction = torch.randn(41, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ZeroSaliencyError, match=r"of B samples and C classes at most B \(C - 1\) singular values"):
        computed(torch.outer(direction, direction))  # of rank 1, but for rounding
    with pytest.raises(NonFiniteGradientError, match="vkdnw: the gradients of the logits hold NaN"):
        computed(torch.full((2, 2), math.nan))


def test_the_whole_is_had_by_its_name() -> None:
    model, batch = NETWORKS["vit"].build(torch.float32)
    scores = score_many(model, batch, proxies=["vkdnw_agg"], features="blocks.*")
    assert list(scores) == ["vkdnw_single", "jacov", "az_nas_expressivity", "az_nas_trainability", "flops"]
    assert all(found.error is None for found in scores.values())
