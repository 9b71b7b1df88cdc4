"""`score` as a whole: every option against the reference, determinism, and what is wrong with the numbers."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lswag_fast
from lswag_fast import Score, reference
from lswag_fast.errors import InputError, LswagWarning, NonFiniteGradientError, ZeroVarianceError
from networks import NETWORKS, Network
from support.oracle import SHOWN, module_activations, summed_loss

# Networks all of whose activations are modules, so that hooks can see them.
MODULAR = [
    "mlp",
    "mlp_no_bias",
    "cnn_eval",
    "depthwise",
    "grouped",
    "conv1d",
    "resnet_eval",
    "padding_same",
    "regression",
]


def score(net: Network, **options: Any) -> Score:
    model, batch = net.build()
    return lswag_fast.score(model, batch, loss_fn=net.loss_fn, **{"pattern_samples": SHOWN, **options})


def places(found: Score) -> list[int]:
    """Which activation each layer is paired with, among all seen, by the number after the @."""
    indices = sorted({int(layer.activation.split("@")[1]) for layer in found.layers})
    return [indices.index(int(layer.activation.split("@")[1])) for layer in found.layers]


def expected(net: Network, found: Score, combine: Any, gradient: Any = "abs", n_groups: int | None = None) -> float:
    """The score by the reference, with activations captured by module hooks."""
    model, batch = net.build()
    gradients = reference.per_sample_gradients(model, batch, net.observed, summed_loss(net))
    rows = [gradients[layer.name] for layer in found.layers]
    if n_groups is not None:
        rows = [reference.micro_batches(row, n_groups) for row in rows]
    activations = module_activations(model, batch[0])
    pairs = places(found)
    assert set(pairs) == set(range(len(activations)))
    return reference.lswag(rows, activations, pairs, found.n_pattern_samples, combine, gradient)


@pytest.mark.parametrize("name", MODULAR)
@pytest.mark.parametrize("combine", ["layerwise", "product", "log"])
def test_the_whole_score_is_that_of_the_reference(name: str, combine: str) -> None:
    net = NETWORKS[name]
    found = score(net, combine=combine)
    assert found.value == pytest.approx(expected(net, found, combine), rel=1e-9)  # order of float64 sums


def test_the_product_counts_the_patterns_of_the_chosen_layers_only() -> None:
    found = score(NETWORKS["mlp"], combine="product", layers=(10, 10))
    (layer,) = found.layers
    assert found.value == layer.trainability * layer.cardinality
    assert layer.activation == "relu@3"


@pytest.mark.parametrize("gradient", ["abs", "signed"])
@pytest.mark.parametrize("n_groups", [None, 2, 3])
def test_kinds_of_variance(gradient: str, n_groups: int | None) -> None:
    net = NETWORKS["mlp"]
    variance = "sample" if n_groups is None else f"microbatch:{n_groups}"
    found = score(net, gradient=gradient, variance=variance)
    assert found.value == pytest.approx(expected(net, found, "layerwise", gradient, n_groups), rel=1e-9)


@pytest.mark.parametrize("name", MODULAR)
@pytest.mark.parametrize("n_samples", [1, 2, 5])
def test_cardinalities_are_exact(name: str, n_samples: int) -> None:
    net = NETWORKS[name]
    model, batch = net.build()
    counts = [len(reference.neuron_patterns(a, n_samples)) for a in module_activations(model, batch[0])]
    found = score(net, pattern_samples=n_samples)
    used = places(found)
    assert [layer.cardinality for layer in found.layers] == [counts[place] for place in used]


def test_auto_pattern_samples() -> None:
    model = nn.Sequential(nn.Linear(5, 20), nn.ReLU(), nn.Linear(20, 6), nn.ReLU(), nn.Linear(6, 3))
    batch = torch.randn(32, 5), torch.arange(32) % 3
    assert lswag_fast.score(model, batch).n_pattern_samples == reference.n_pattern_samples(32, 20) == 7


def test_auto_pattern_samples_warn_once_for_a_small_batch() -> None:
    with pytest.warns(LswagWarning, match="cardinalities saturate") as caught:
        assert score(NETWORKS["vit"], pattern_samples="auto").n_pattern_samples == 6
    assert [warning.filename for warning in caught] == [__file__]


def test_pairing_takes_the_activation_that_feeds_the_weight() -> None:
    """conv (before any) and conv take the first ReLU, the head the second."""
    found = score(NETWORKS["cnn_eval"])
    assert [layer.activation for layer in found.layers] == ["relu@1", "relu@1", "relu@3"]


@pytest.mark.parametrize("name", ["mlp", "vit", "resnet_eval", "mha_time_first_t_equals_b"])
@pytest.mark.parametrize("options", [{}, {"chunk_size": 2}, {"row_fraction": 0.5}], ids=str)
def test_the_same_seed_gives_the_same_bits(name: str, options: dict[str, Any]) -> None:
    model, batch = NETWORKS[name].build(torch.float32)
    first, second = (lswag_fast.score(model, batch, pattern_samples=SHOWN, **options) for _ in range(2))
    assert first.value == second.value
    assert first.layers == second.layers


def test_scaling_the_loss_shifts_every_layer() -> None:
    """sigma scales with the loss, so Lambda falls by ln of the factor."""
    model, batch = NETWORKS["mlp"].build()
    plain = lswag_fast.score(model, batch, pattern_samples=SHOWN)
    scaled = lswag_fast.score(
        model,
        batch,
        pattern_samples=SHOWN,
        loss_fn=lambda o, t: 8 * nn.functional.cross_entropy(o, t, reduction="none"),
    )
    for one, two in zip(plain.layers, scaled.layers, strict=True):
        assert two.trainability == pytest.approx(one.trainability - math.log(8), rel=1e-12)


def test_permuting_the_samples_keeps_trainability() -> None:
    model, (x, y) = NETWORKS["vit"].build()
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    plain = lswag_fast.score(model, (x, y), pattern_samples=SHOWN)
    mixed = lswag_fast.score(model, (x[order], y[order]), pattern_samples=SHOWN)
    for one, two in zip(plain.layers, mixed.layers, strict=True):
        assert two.trainability == pytest.approx(one.trainability, rel=1e-9)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"proxy": "sinflow"}, "there is no proxy 'sinflow'; did you mean 'synflow'"),
        ({"combine": "sum"}, "combine must be one of 'layerwise', 'product', 'log', got 'sum'"),
        ({"nonfinite": "ignore"}, "nonfinite must be one of"),
        ({"variance": "batch"}, "variance must be"),
        ({"gradient": None}, "gradient must be"),
    ],
)
def test_unknown_option_values(option: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        score(NETWORKS["mlp"], **option)


# ---- numbers that are not finite, or do not vary ----


class Exploding(nn.Module):
    """The logits overflow in float32 for inputs above 1; with `gradient_only`, the gradient alone is infinite."""

    def __init__(self, gradient_only: bool) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(4, 4), nn.Linear(4, 3)
        nn.init.eye_(self.first.weight)  # the inputs are positive, so every unit is on
        self.gradient_only = gradient_only

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        return self.head((x - x).sqrt() + x if self.gradient_only else x * 1e38 * 1e38)


def finite_batch() -> tuple[Tensor, Tensor]:
    return torch.rand(6, 4) + 1, torch.arange(6) % 3


@pytest.mark.parametrize("gradient_only", [True, False])
def test_nonfinite_raises_naming_layer_and_count(gradient_only: bool) -> None:
    with pytest.raises(NonFiniteGradientError, match=r"first first.weight \(\d+ of 16 elements\)") as caught:
        lswag_fast.score(Exploding(gradient_only), finite_batch(), pattern_samples=SHOWN)
    assert ("the loss is NaN or infinite for 6 value(s)" in str(caught.value)) is not gradient_only


@pytest.mark.parametrize("gradient_only", [True, False])
def test_nonfinite_propagates_as_nan_with_the_reason(gradient_only: bool) -> None:
    found = lswag_fast.score(Exploding(gradient_only), finite_batch(), pattern_samples=SHOWN, nonfinite="propagate")
    assert math.isnan(found.value)
    assert found.error is not None
    assert "first.weight" in found.error
    assert found.layers[0].n_nonfinite > 0
    assert math.isnan(found.layers[0].trainability)


def test_some_weights_without_variance_are_counted() -> None:
    """A dead unit: its row of the first weight and its column of the second have no gradient that varies."""
    model, batch = NETWORKS["mlp"].build()
    with torch.no_grad():
        model[0].weight[3] = 0
        model[0].bias[3] = -1.0
    found = lswag_fast.score(model, batch, pattern_samples=SHOWN)
    assert found.layers[0].n_zero_variance >= 7
    assert found.layers[1].n_zero_variance >= 9
    exact = reference.per_sample_gradients(model, batch, ["0.weight"])["0.weight"]
    statistics = reference.gradient_statistics(exact)
    assert found.layers[0].n_zero_variance == statistics["n_zero_variance"]
    assert found.layers[0].trainability == pytest.approx(math.log(statistics["sum_inv_sigma"]), rel=1e-9)


def test_no_variance_anywhere_is_an_error() -> None:
    model, (x, y) = NETWORKS["mlp"].build()
    with pytest.raises(ZeroVarianceError, match="no gradient of the 3 observed"):
        lswag_fast.score(model, (x, y), pattern_samples=SHOWN, loss_fn=lambda o, t: 0 * o.sum(1))


def small_cnn() -> nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(64, 3))


def test_repeats_score_the_parts_of_the_batch_with_their_seeds() -> None:
    batch = torch.randn(12, 1, 6, 6), torch.arange(12) % 3
    found = lswag_fast.score(small_cnn(), batch, proxy="zico", repeats=3, init="kaiming", seed=5)
    parts = [(batch[0][k : k + 4], batch[1][k : k + 4]) for k in (0, 4, 8)]
    alone = [
        float(lswag_fast.score(small_cnn(), part, proxy="zico", init="kaiming", seed=5 + k))
        for k, part in enumerate(parts)
    ]
    assert list(found.repeated) == alone
    assert found.value == pytest.approx(statistics.mean(alone), rel=1e-12)
    assert found.standard_error == pytest.approx(statistics.stdev(alone) / 3**0.5, rel=1e-12)
    assert (found.n_samples, found.seed) == (12, 5)
    once = lswag_fast.score(small_cnn(), batch, proxy="zico")
    assert (once.repeated, once.standard_error) == ((), None)


def test_a_repeat_without_a_value_is_named() -> None:
    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.square().sum(1) / targets

    batch = torch.randn(8, 1, 6, 6), torch.tensor([1.0] * 4 + [0.0] * 4)
    found = lswag_fast.score(small_cnn(), batch, proxy="zico", repeats=2, loss_fn=loss, nonfinite="propagate")
    assert math.isnan(found.value) and math.isnan(found.standard_error or 0.0)
    assert str(found.error).startswith("repeat 2, samples 4 to 7: ")
