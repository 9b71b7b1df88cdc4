"""What a proxy reads of a layer, against the definitions on gradients of one sample at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from lswag_fast import reference, register_proxy, score
from lswag_fast.kernels import statistics
from lswag_fast.passes.standard.measurements import LayerMeasurements, StandardMeasurements
from lswag_fast.proxies import registry
from networks import NETWORKS
from support.oracle import exact_gradients

# Sums of numbers of either sign may be small beside them: they are held against the sums without the signs.
CANCELLING = {"sum_weight_gradient": "sum_abs_weight_gradient"}
NAMES = [statistic.name for statistic in statistics()]


@pytest.fixture(autouse=True)
def registered_before() -> Iterator[None]:
    before = dict(registry._REGISTRY)
    yield
    registry._REGISTRY.clear()
    registry._REGISTRY.update(before)


def layers_of(
    model: nn.Module, batch: Any, statistic: str = "batch_gradient", **options: Any
) -> list[LayerMeasurements]:
    found: list[LayerMeasurements] = []

    def listener(measurements: Any) -> float:
        found.extend(measurements.of(StandardMeasurements).layers())
        return 0.0

    register_proxy("listener", listener, needs={"standard": ["gradients", statistic]})
    score(model, batch, proxy="listener", **options)
    return found


def assert_defined(layer: LayerMeasurements, expected: dict[str, float]) -> None:
    size = (expected["n_weights"] * expected["sum_squared_batch_gradient"]) ** 0.5
    for name in NAMES:
        atol = 1e-9 * (size if name == "sum_batch_gradient" else abs(expected[CANCELLING.get(name, name)]))
        assert layer[name] == pytest.approx(expected[name], rel=1e-9, abs=atol), name


@pytest.mark.parametrize("name", ["mlp", "cnn_eval", "vit", "disjoint_parts", "called_twice"])
@pytest.mark.parametrize("chunk_size", [None, 2])
def test_every_statistic_is_as_defined(name: str, chunk_size: int | None) -> None:
    """Whole parameters and pieces of one, in one go and in chunks."""
    net = NETWORKS[name]
    model, batch = net.build()
    exact, weights = exact_gradients(net, net.observed), dict(model.named_parameters())
    loss = {} if net.loss_fn is None else {"loss_fn": net.loss_fn}
    for layer in layers_of(model, batch, chunk_size=chunk_size, **loss):
        assert_defined(layer, reference.gradient_statistics(exact[layer.name], weights[layer.name]))


def test_of_some_rows_sums_are_estimates_and_the_largest_is_theirs() -> None:
    model = nn.Sequential(nn.Linear(5, 32), nn.GELU(), nn.Linear(32, 3)).double()
    batch = torch.randn(6, 5).double(), torch.arange(6) % 3
    exact = reference.per_sample_gradients(model, batch, ["0.weight"])["0.weight"]
    halves = [[reference.gradient_statistics(exact[:, 8 * k : 8 * k + 8]) for k in chosen] for chosen in PAIRS]
    seen = {(layer["sum_batch_gradient"], layer["max_abs_batch_gradient"]) for layer in _of_half_the_rows(model, batch)}
    sums = [2 * sum(block["sum_batch_gradient"] for block in half) for half in halves]
    largest = [max(block["max_abs_batch_gradient"] for block in half) for half in halves]
    for found_sum, found_largest in seen:
        place = min(range(len(sums)), key=lambda k: abs(sums[k] - found_sum))
        assert found_sum == pytest.approx(sums[place], rel=1e-9)
        assert found_largest == pytest.approx(largest[place], rel=1e-9)
    assert len(seen) > 1


PAIRS = [(a, b) for a in range(4) for b in range(a + 1, 4)]


def _of_half_the_rows(model: nn.Module, batch: Any) -> Iterator[LayerMeasurements]:
    for seed in range(8):
        registry._REGISTRY.pop("listener", None)
        yield layers_of(model, batch, row_fraction=0.5, seed=seed)[0]


def test_the_parts_of_in_train() -> None:
    """min(1, std(G) / max |G|) of each tensor (InTrain, CVPR 2026), from what a layer holds."""
    net = NETWORKS["mlp"]
    model, batch = net.build()
    exact = exact_gradients(net, net.observed)
    for layer in layers_of(model, batch):
        n = layer.n_weights
        variance = layer["sum_squared_batch_gradient"] / n - (layer["sum_batch_gradient"] / n) ** 2
        total = exact[layer.name].sum(0)
        expected = float(total.std(unbiased=False) / total.abs().max())
        assert min(1.0, variance**0.5 / layer["max_abs_batch_gradient"]) == pytest.approx(min(1.0, expected), rel=1e-9)


def test_what_the_pass_was_not_asked_for_is_not_there() -> None:
    model, batch = NETWORKS["mlp"].build()
    (layer, *_) = layers_of(model, batch, statistic="gradients")
    assert "sum_inv_sigma" in layer
    assert "sum_batch_gradient" not in layer
    with pytest.raises(LookupError, match="sum_batch_gradient was not measured: it needs batch_gradient"):
        layer["sum_batch_gradient"]
