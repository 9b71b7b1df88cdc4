"""The parts of az_nas against float64 features, by hand, and what makes them infinite."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lswag_fast import score, score_many
from lswag_fast.errors import InputError
from lswag_fast.passes.block_features import BlockFeatureMeasurements
from lswag_fast.proxies import get_proxy
from lswag_fast.proxies.registry import Measurements
from lswag_fast.reference import az_nas as reference
from networks import NETWORKS
from proxies.conftest import autoformer
from support.snapshot import assert_unchanged, snapshot

PARTS = ["az_nas_expressivity", "az_nas_progressivity", "az_nas_trainability"]
FEATURES = {"mlp": "[13]", "cnn_train": "[345]", "resnet_eval": "[01234]", "vit": "blocks.*"}
"""Modules in a chain, of one resolution or halving it; all but "vit" are Sequentials."""


def outputs_of(pattern: str) -> Callable[[nn.Module, Tensor], Sequence[Tensor]]:
    """The outputs of the modules of a Sequential, or of a Sequential in it."""
    owner, _, last = pattern.rpartition(".")

    def features(model: nn.Module, x: Tensor) -> list[Tensor]:
        found: list[Tensor] = []

        def keep(module: nn.Module, args: Any, output: Tensor) -> Tensor:
            found.append(output)
            return output.clone()  # what follows may work in place

        for name, module in model.get_submodule(owner).named_children():
            if last == "*" or name in last:
                module.register_forward_hook(keep)
        model(x)
        return found

    return features


def expected_values(
    model: nn.Module, shape: Any, features: Any, dtype: torch.dtype = torch.float64
) -> dict[str, float]:
    found, generator = reference.block_features(model, shape, features, dtype=dtype)
    entropies = reference.entropies(found)
    values = reference.expressivity(entropies), reference.progressivity(entropies)
    return dict(zip(PARTS, (*values, reference.trainability(found, generator)), strict=True))


def values(model: nn.Module, batch: Any, **options: Any) -> dict[str, float]:
    scores = score_many(model, batch, proxies=PARTS, **options)
    assert scores.passes == ("block_features",)
    assert all(s.error is None for s in scores.values()), {n: s.error for n, s in scores.items()}
    return {name: s.value for name, s in scores.items()}


@pytest.mark.parametrize("name", FEATURES)
def test_against_float64(name: str) -> None:
    net, pattern = NETWORKS[name], FEATURES[name]
    model, (inputs, _) = net.build()
    expected = expected_values(model, inputs.shape, outputs_of(pattern))
    # float64; p ln(p + 1e-8) of eigenvalues that are 0 but for rounding, and differences of entropies
    assert values(*net.build(), features=pattern) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    plain = expected_values(model, inputs.shape, outputs_of(pattern), torch.float32)
    for part, value in values(*net.build(torch.float32), features=pattern).items():
        bound = max(1e-4 * abs(expected[part]), 3 * abs(plain[part] - expected[part]))  # the accuracy contract
        assert abs(value - expected[part]) <= bound, part


def test_an_autoformer_has_its_blocks_looked_at_by_itself() -> None:
    model, batch = autoformer()
    expected = expected_values(model, batch[0].shape, lambda m, x: m.block_features(x))
    plain = expected_values(model, batch[0].shape, lambda m, x: m.block_features(x), torch.float32)
    for part, value in values(model, batch).items():
        bound = max(1e-4 * abs(expected[part]), 3 * abs(plain[part] - expected[part]))  # the accuracy contract
        assert abs(value - expected[part]) <= bound, part


def computed(name: str, entropies: Sequence[float] = (), norms: Sequence[float | None] = ()) -> float:
    return get_proxy(name).compute(
        Measurements({"block_features": BlockFeatureMeasurements(tuple(entropies), tuple(norms))})
    )


def test_the_formulas() -> None:
    assert computed("az_nas_expressivity", [1.0, 2.5, 2.0]) == 5.5
    assert computed("az_nas_progressivity", [1.0, 2.5, 2.0]) == -0.5
    assert computed("az_nas_trainability", norms=[1.0, 2.0]) == pytest.approx((0 + (2 - 2 - 0.5)) / 2, abs=2e-6)


def test_a_feature_that_is_the_one_before_is_not_ranked() -> None:
    assert computed("az_nas_trainability", norms=[1.0, None]) == -math.inf
    model = nn.Sequential(nn.Linear(4, 5), nn.Identity(), nn.Linear(5, 3))
    found = score(model, (torch.randn(6, 4), torch.arange(6) % 3), proxy="az_nas_trainability", features="[01]")
    assert found.value == -math.inf
    assert "no finite value" in (found.error or "")


def test_the_data_play_no_part_and_the_seed_does() -> None:
    model, (inputs, targets) = NETWORKS["vit"].build()
    one = values(model, (inputs, targets), features="blocks.*", seed=3)
    assert one == values(model, (inputs.flip(0) * 5, targets), features="blocks.*", seed=3)
    assert one != values(model, (inputs, targets), features="blocks.*", seed=4)


def test_entropies_do_not_see_the_scale_of_features() -> None:
    model, batch = NETWORKS["mlp"].build()
    before = score(model, batch, proxy="az_nas_expressivity", features="[02]").value
    with torch.no_grad():
        for parameter in (*model[0].parameters(), model[2].bias):
            parameter *= 3.0  # ReLU is homogeneous: the features are three times as large
    assert score(model, batch, proxy="az_nas_expressivity", features="[02]").value == pytest.approx(before, rel=1e-12)


def test_the_whole_is_had_by_its_name() -> None:
    model, batch = NETWORKS["vit"].build(torch.float32)
    before = snapshot(model)
    scores = score_many(model, batch, proxies=["az_nas"], features="blocks.*")
    assert list(scores) == [*PARTS, "flops"]
    assert scores.passes == ("model", "block_features")
    assert_unchanged(model, before)
    assert list(score_many(model, batch, proxies=["az_nas_vit"], features="blocks.*")) == [PARTS[0], PARTS[2], "flops"]


def test_a_network_without_block_features_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"needs the features of the blocks: TinyViT has no block_features"):
        score(*NETWORKS["vit"].build(), proxy="az_nas_trainability")
