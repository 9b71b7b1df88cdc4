"""zen against networks whose weights are written in place, in float64; BatchNorm and what stands in its stead."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lswag_fast import reference, score, score_many
from lswag_fast.errors import InputError
from lswag_fast.passes.noise_pair import NoisePairMeasurements
from lswag_fast.proxies import get_proxy
from lswag_fast.proxies.registry import Measurements
from networks import NETWORKS
from proxies.conftest import autoformer
from support.snapshot import assert_unchanged, snapshot

OPTIONAL = {"zen": {"batch_norm": "optional"}}
FEATURES = {
    "mlp": "3",
    "cnn_eval": "5",
    "cnn_train": "5",
    "resnet_eval": "4",
    "vit": "norm",
    "encoder_batch_first_odd": "layers.1",
}
"""Where the features of a network are: before its pooling, or its head."""


def output_of(name: str) -> Callable[[nn.Module, Tensor], Tensor]:
    """The features as the output of one module, cut off before an in-place operation changes them."""

    def features(model: nn.Module, x: Tensor) -> Tensor:
        kept: list[Tensor] = []
        handle = model.get_submodule(name).register_forward_hook(lambda m, args, out: kept.append(out.clone()))
        model(x)
        handle.remove()
        return kept[-1]

    return features


def found(name: str, dtype: torch.dtype = torch.float64, **options: Any) -> float:
    model, batch = NETWORKS[name].build(dtype)
    return score(model, batch, proxy="zen", features=FEATURES[name], proxy_options=OPTIONAL, **options).value


@pytest.mark.parametrize("name", FEATURES)
def test_against_float64(name: str) -> None:
    net = NETWORKS[name]
    model, (inputs, _) = net.build()
    arguments = model, inputs.shape, net.observed, output_of(FEATURES[name])
    exact = reference.zen(*arguments)
    assert found(name) == pytest.approx(exact, rel=1e-9)  # float64, the same operations
    plain = reference.zen(*arguments, dtype=torch.float32)
    bound = max(1e-4 * abs(exact), 3 * abs(plain - exact))  # the accuracy contract of the project
    assert abs(found(name, torch.float32) - exact) <= bound


def test_on_an_autoformer() -> None:
    model, batch = autoformer()
    weights = [name for name, p in model.named_parameters() if name.endswith("weight") and p.dim() > 1]
    arguments = model, batch[0].shape, weights, output_of("norm")
    exact, plain = reference.zen(*arguments), reference.zen(*arguments, dtype=torch.float32)
    value = score(model, batch, proxy="zen", features="norm", proxy_options=OPTIONAL).value
    # f(x) - f(x + 0.01 e) cancels in float32, and weights N(0, 1) make the attention's softmax steep.
    assert abs(value - exact) <= max(1e-4 * abs(exact), 3 * abs(plain - exact))


def computed(distance: float, variances: dict[str, float], **options: Any) -> float:
    return get_proxy("zen").compute(Measurements({"noise_pair": NoisePairMeasurements(distance, variances)}), **options)


def test_the_formula() -> None:
    assert computed(math.e**3, {"a": math.e**2, "b": 4.0}) == pytest.approx(3 + 1 + math.log(2), rel=1e-15)
    assert computed(math.e**3, {}, batch_norm="optional") == pytest.approx(3, rel=1e-15)


def test_values_that_are_not_finite_are_given_as_they_are() -> None:
    assert computed(0.0, {"a": 1.0}) == -math.inf
    assert computed(1.0, {"a": 0.0}) == -math.inf
    assert math.isnan(computed(math.nan, {"a": 1.0}))
    assert computed(math.inf, {"a": 1.0}) == math.inf


@pytest.mark.parametrize("name", ["mlp", "vit"])
def test_a_network_without_batch_norm_is_refused_unless_asked_for(name: str) -> None:
    model, batch = NETWORKS[name].build()
    with pytest.raises(InputError, match=r"zen needs BatchNorm.*'batch_norm': 'optional'"):
        score(model, batch, proxy="zen", features=FEATURES[name])
    assert math.isfinite(found(name))


def test_another_value_of_the_option_is_refused() -> None:
    with pytest.raises(InputError, match="zen: batch_norm must be 'required' or 'optional', got 'no'"):
        computed(1.0, {"a": 1.0}, batch_norm="no")


@pytest.mark.parametrize("name", ["cnn_eval", "vit"])
def test_scaling_the_features_adds_its_logarithm(name: str) -> None:
    model, batch = NETWORKS[name].build()
    plain = output_of(FEATURES[name])
    scores = [
        score(model, batch, proxy="zen", features=lambda m, x: c * plain(m, x), proxy_options=OPTIONAL).value  # noqa: B023
        for c in (1.0, 10.0)
    ]
    assert scores[1] - scores[0] == pytest.approx(math.log(10), rel=1e-9)


def test_the_batch_counts_by_its_shape_only() -> None:
    model, (inputs, targets) = NETWORKS["cnn_eval"].build()
    others = torch.randn_like(inputs), targets.flip(0)
    assert score(model, others, proxy="zen", features="5").value == found("cnn_eval")


def test_the_models_mode_and_weights_do_not_matter() -> None:
    model, batch = NETWORKS["cnn_eval"].build()
    expected = found("cnn_eval")
    for parameter in model.parameters():
        nn.init.uniform_(parameter)
    assert score(model.train(), batch, proxy="zen", features="5").value == expected


def test_it_is_determined_by_the_seed() -> None:
    assert found("cnn_eval", seed=1) == found("cnn_eval", seed=1) != found("cnn_eval", seed=2)


def test_depth_and_width_raise_it() -> None:
    def cnn(depth: int, width: int) -> nn.Module:
        layers: list[nn.Module] = []
        for i in range(depth):
            layers += [nn.Conv2d(width if i else 3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        return nn.Sequential(nn.Sequential(*layers), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 4))

    batch = torch.randn(8, 3, 8, 8), torch.arange(8) % 4

    def mean(depth: int, width: int) -> float:
        model = cnn(depth, width)
        return sum(score(model, batch, proxy="zen", features="0", seed=s).value for s in range(4)) / 4

    small = mean(2, 8)
    assert mean(4, 8) > small + 1
    assert mean(2, 32) > small + 1


@pytest.mark.parametrize("name", ["resnet_train", "encoder_batch_first_odd"])
def test_the_model_is_left_as_it_was_also_after_an_exception(name: str) -> None:
    model, batch = NETWORKS[name].build()
    before = snapshot(model)
    features = {"resnet_train": "4", **FEATURES}[name]
    score(model, batch, proxy="zen", features=features, proxy_options=OPTIONAL)
    assert_unchanged(model, before)

    def failing(model: nn.Module, x: Tensor) -> Tensor:
        model(x)
        raise KeyError("a function of the user's")

    with pytest.raises(TypeError, match=r"the model fails on Gaussian.*a function of the user's"):
        score(model, batch, proxy="zen", features=failing)
    assert_unchanged(model, before)


def test_a_network_that_it_cannot_serve_leaves_the_other_proxies() -> None:
    model, batch = NETWORKS["mlp"].build()
    scores = score_many(model, batch, proxies=["zen", "jacov", "grasp"])
    assert scores.passes == ("jacobian", "double_backward")
    assert "needs the features before pooling: Sequential has no forward_features" in str(scores["zen"].error)
    assert scores["jacov"].error is None
    assert scores["grasp"].error is None
