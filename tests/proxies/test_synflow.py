"""synflow, logsynflow, dss and t_cet against float64 networks with positive weights; scaling laws and refusals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lswag_fast import reference, score, score_many
from lswag_fast.errors import InputError, ZeroSaliencyError
from lswag_fast.passes.synflow import LayerSaliency, SynflowMeasurements
from lswag_fast.proxies import get_proxy
from lswag_fast.proxies.registry import Measurements
from networks import NETWORKS, Network
from proxies.conftest import autoformer
from support.oracle import module_activations
from support.snapshot import assert_unchanged, snapshot

FLOWS = ["synflow", "logsynflow"]


def raw(model: nn.Module, batch: Any, names: list[str]) -> dict[str, float]:
    scores = score_many(model, batch, proxies=names)
    assert all(s.error is None for s in scores.values()), {n: s.error for n, s in scores.items()}
    return {name: s.raw for name, s in scores.items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_against_float64(net: Network, dtype: torch.dtype) -> None:
    model, batch = net.build(dtype)
    pairs = reference.positive_weights_and_gradients(model, batch[0], net.observed)
    expected = {"synflow": reference.synflow(pairs), "logsynflow": reference.logsynflow(pairs)}
    # Both sides compute in float64 from the same weights.
    assert raw(model, batch, FLOWS) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["cnn_train", "resnet_eval", "grouped", "conv1d", "called_twice", "tied_module"])
def test_other_networks(name: str) -> None:
    net = NETWORKS[name]
    model, batch = net.build()
    pairs = reference.positive_weights_and_gradients(model, batch[0], net.observed)
    assert raw(model, batch, ["synflow"])["synflow"] == pytest.approx(reference.synflow(pairs), rel=1e-9)  # float64


def test_on_an_autoformer() -> None:
    model, batch = autoformer()
    linear = [n for n, p in model.named_parameters() if n.endswith("weight") and p.dim() == 2]
    attention = [n for n in linear if "qkv" in n or "proj" in n]  # heads x head size is the embedding's: proj is square
    pairs = reference.positive_weights_and_gradients(model, batch[0], [*linear, "patch_embed_super.proj.weight"])
    expected = {
        "synflow": reference.synflow(pairs),
        "logsynflow": reference.logsynflow(pairs),
        "dss": reference.dss(pairs, attention, set(linear) - set(attention)),
    }
    assert raw(model, batch, [*FLOWS, "dss"]) == pytest.approx(expected, rel=1e-9)  # float64 on both sides


def test_dss_knows_torchs_own_attention() -> None:
    net = NETWORKS["encoder_batch_first_odd"]
    model, batch = net.build()
    pairs = reference.positive_weights_and_gradients(model, batch[0], net.observed)
    attention = [n for n in net.observed if "in_proj" in n or pairs[n][0].shape[0] == pairs[n][0].shape[1]]
    expected = reference.dss(pairs, attention, set(net.observed) - set(attention))
    assert raw(model, batch, ["dss"])["dss"] == pytest.approx(expected, rel=1e-9)  # float64


def test_a_head_that_is_zero_has_no_saliency_and_is_named() -> None:
    """ln 0 = -inf, and 0 as the value would rank it above every live network of |s| < 1."""
    model, batch = NETWORKS["vit"].build()
    nn.init.zeros_(model.head.weight)
    scores = score_many(model, batch, proxies=[*FLOWS, "dss", "t_cet"])
    for name, found in scores.items():
        assert math.isnan(found.value), name
        assert "head.weight: all elements are zero" in (found.error or ""), name
        assert "init='rescue'" in (found.error or ""), name
    with pytest.raises(ZeroSaliencyError, match="the synflow saliency of all 10 weights is zero"):
        score(model, batch, proxy="synflow")


def test_a_scale_that_is_zero_has_no_saliency() -> None:
    model = nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), nn.Linear(4, 3, bias=False))
    nn.init.zeros_(model[1].weight)
    with pytest.raises(ZeroSaliencyError, match="a scale or an activation gives zero everywhere"):
        score(model, (torch.randn(4, 5), torch.arange(4) % 3), proxy="synflow")


def test_a_smaller_saliency_has_the_smaller_value() -> None:
    model, batch = nn.Linear(3, 2, bias=False), (torch.randn(4, 3), torch.arange(4) % 2)
    values = []
    for factor in (1.0, 1e-3, 1e-6):
        nn.init.constant_(model.weight, factor)
        values.append(score(model, batch, proxy="synflow").value)
    assert values == pytest.approx([math.log(6), math.log(6e-3), math.log(6e-6)], rel=1e-6)  # float32 weights


def test_dss_is_for_transformers() -> None:
    with pytest.raises(InputError, match="dss is for vision transformers"):
        score(*NETWORKS["cnn_eval"].build(), proxy="dss")


@pytest.mark.parametrize(
    ("name", "feeding"), [("cnn_eval", [0, 0, 1]), ("conv1d", [0, 0, 1, 2]), ("depthwise", [0, 0, 1, 2])]
)
def test_t_cet_pairs_a_weight_with_the_activation_that_feeds_it(name: str, feeding: list[int]) -> None:
    net = NETWORKS[name]
    model, batch = net.build()
    pairs = reference.positive_weights_and_gradients(model, batch[0], net.observed)
    activations = module_activations(model, batch[0])
    expected = reference.t_cet(pairs, activations, dict(zip(net.observed, feeding, strict=True)))
    assert raw(model, batch, ["t_cet"])["t_cet"] == pytest.approx(expected, rel=1e-9)  # float64


def test_t_cet_of_a_layer_that_tells_two_samples_not_apart_is_not_finite_and_said_so() -> None:
    found = score(*NETWORKS["mlp"].build(), proxy="t_cet")
    assert found.value == -math.inf
    assert "no finite value" in (found.error or "")


def layer(**fields: Any) -> LayerSaliency:
    given = {"saliency": 1.0, "log_saliency": 0.0, "standard_deviation": 1.0, "activation": 0}
    return LayerSaliency(**{**given, "is_linear": True, "is_attention": False, "nuclear": None, **fields})


def test_t_cet_of_saliencies_that_do_not_vary_takes_their_sum() -> None:
    layers = {"a": layer(saliency=6.0, standard_deviation=2.0), "b": layer(saliency=5.0, standard_deviation=0.0)}
    layers["c"] = layer(saliency=7.0, standard_deviation=math.nan)
    with pytest.raises(InputError, match="met 1 and the synflow pass 3"):
        _t_cet(layers, n_activations=3)
    assert _t_cet(layers, n_activations=1) == pytest.approx((6 / 2 + 5 + 7) * math.log(3))


def test_t_cet_takes_nothing_from_a_weight_without_saliency() -> None:
    layers = {"gate": layer(saliency=0.0, standard_deviation=0.0), "conv": layer(saliency=2.0, activation=1)}
    codes = [torch.full((2, 2), 2), torch.tensor([[2, 1], [1, 2]])]  # det 0 and 3
    assert _t_cet(layers, 2, codes) == pytest.approx(2 * math.log(3))


def _t_cet(layers: dict[str, LayerSaliency], n_activations: int, agreements: Sequence[Tensor] = ()) -> float:
    from lswag_fast.passes.standard.coverage import Coverage
    from lswag_fast.passes.standard.measurements import ActivationMeasurements, StandardMeasurements

    kernels = agreements or [torch.tensor([[2, 1], [1, 2]])]  # det 3
    activations = tuple(ActivationMeasurements("relu@0", 2, kernel) for kernel in kernels)
    standard = StandardMeasurements((), activations, None, (), 2, 2, 0, 0, Coverage({}, {}))  # type: ignore[arg-type]
    numbers = Measurements({"standard": standard, "synflow": SynflowMeasurements(layers, n_activations)})
    return get_proxy("t_cet").compute(numbers)


def test_the_value_is_the_logarithm_and_the_raw_number_stands_beside() -> None:
    found = score(*NETWORKS["cnn_eval"].build(), proxy="synflow")
    assert found.value == math.log(found.raw)


def test_synflow_grows_with_every_layers_scale() -> None:
    """Without norms and biases R is homogeneous of degree 1 in each weight: s = L R, and c W makes it c^L as large."""
    model, batch = NETWORKS["mlp_no_bias"].build()
    model[1] = nn.ReLU()
    before = raw(model, batch, ["synflow"])["synflow"]
    ones = torch.ones(1, 5, dtype=torch.float64)
    with torch.no_grad():
        output = (ones @ model[0].weight.abs().t() @ model[2].weight.abs().t()).sum().item()
        assert before == pytest.approx(2 * output, rel=1e-12)
        for parameter in model.parameters():
            parameter *= -3.0
    assert raw(model, batch, ["synflow"])["synflow"] == pytest.approx(9 * before, rel=1e-12)


def test_dss_grows_with_the_scale_of_a_weight_and_t_cet_does_not() -> None:
    model = nn.Sequential(nn.Linear(40, 40, bias=False), nn.ReLU(), nn.Linear(40, 40, bias=False)).double()
    batch = torch.randn(4, 40, dtype=torch.float64), torch.arange(4)
    before = raw(model, batch, ["dss", "t_cet"])
    with torch.no_grad():
        model[0].weight *= 3.0
    after = raw(model, batch, ["dss", "t_cet"])
    # Of both layers: the norm of the one's weight, and that of the other's gradient, is three times as large.
    assert after["dss"] == pytest.approx(3 * before["dss"], rel=1e-12)
    assert after["t_cet"] == pytest.approx(before["t_cet"], rel=1e-9)  # the same signs; saliencies over their deviation


def test_the_data_play_no_part() -> None:
    model, (inputs, targets) = NETWORKS["vit"].build()
    names = [*FLOWS, "dss"]
    assert raw(model, (inputs, targets), names) == raw(model, (inputs.flip(0) * 2, targets), names)


def test_the_order_of_the_samples_does_not_matter_to_t_cet(net: Network) -> None:
    model, (inputs, targets) = net.build()
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(1))
    found = [score(model, (x, targets), proxy="t_cet").value for x in (inputs, inputs[order])]
    assert found[0] == pytest.approx(found[1], rel=1e-9)  # a determinant of permuted rows


def test_all_share_one_pass_and_leave_the_model_as_it_was() -> None:
    model, batch = NETWORKS["vit"].build(torch.float32)
    before = snapshot(model)
    scores = score_many(model, batch, proxies=[*FLOWS, "dss", "t_cet", "nwot"])
    assert scores.passes == ("standard", "synflow")
    assert_unchanged(model, before)
