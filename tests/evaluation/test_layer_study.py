"""The layer study: ln sigma by hand, the rule of the spike, the packaged intervals, the command."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from lswag_fast import score
from lswag_fast.errors import InputError
from lswag_fast.evaluation.layer_study import spike, study_layers
from lswag_fast.spaces import AutoFormer
from lswag_fast.spaces.building import network_builder

SPACE = AutoFormer(
    embed_dim=(64,), depth=(2, 3), num_heads=(1,), mlp_ratio=(2.0,), image_size=16, patch_size=8, num_classes=4
)
BATCH = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 4


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0], (3, 3)),
        ([0, 0, 5, 5, 0, 0, 0, 9, 0, 0, 0], (2, 3)),  # the widest
        ([0, 5, 0, 0, 0, 6, 0, 0, 0, 0, 0], (5, 5)),  # of one width the highest
        ([0, 5, 0, 0, 0, 5, 0, 0, 0, 0, 0], (1, 1)),  # then the first
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 8], (9, 10)),
        ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], None),
        ([0, 1, 0, 1], None),  # every high bin lies at exactly one standard deviation
    ],
)
def test_the_spike(values: list[float], expected: tuple[int, int] | None) -> None:
    assert spike(dict(enumerate(map(float, values)))) == expected


def test_bins_without_a_layer_do_not_break_a_run() -> None:
    assert spike({0: 0.0, 2: 0.0, 4: 9.0, 6: 9.0, 8: 0.0, 9: 0.0, 10: 0.0}) == (4, 6)
    assert spike({}) is None


def test_a_larger_k_asks_for_more() -> None:
    means = {0: 0.0, 1: 0.0, 2: 0.0, 3: 3.0, 4: 4.0}
    assert spike(means, k=0.5) == (3, 4)
    assert spike(means, k=1.2) == (4, 4)
    assert spike(means, k=3.0) is None


def test_ln_sigma_is_that_of_the_harmonic_mean() -> None:
    build = network_builder(SPACE, None, 0)
    seen: list[tuple[int, int]] = []
    study = study_layers(SPACE, BATCH, n=2, build=build, callback=lambda done, n: seen.append((done, n)))
    assert seen == [(1, 2), (2, 2)]
    import random

    rng = random.Random(0)
    values: dict[int, list[float]] = {}
    for _ in range(2):
        found = score(build(SPACE.sample(rng)), BATCH, proxy="zico")
        for layer in found.layers:
            n_varying = layer.n_weights - layer.n_zero_variance
            harmonic = n_varying / math.exp(layer.trainability)
            values.setdefault(layer.percentile, []).append(math.log(harmonic))
    assert list(study.bins.index) == sorted(values)
    for bin_, row in study.bins.iterrows():
        assert row["mean"] == pytest.approx(sum(values[bin_]) / len(values[bin_]), rel=1e-12)
        assert row["n"] == len(values[bin_])
    assert study.interval == spike(dict(study.bins["mean"]))


def test_layers_without_variance_are_left_out() -> None:
    def build(arch: object) -> nn.Module:
        model = nn.Sequential(nn.Flatten(), nn.Linear(768, 4), nn.Linear(4, 4), nn.Linear(4, 4))
        with torch.no_grad():
            model[2].weight.zero_()  # the first layer sees no gradient
        return model

    study = study_layers(SPACE, BATCH, n=2, build=build)
    assert study.bins["n"].to_dict() == {6: 2, 10: 2}  # the second and the third layer of two networks


def test_the_plot_marks_the_spike(tmp_path: Path) -> None:
    study = study_layers(SPACE, BATCH, n=1, build=network_builder(SPACE, None, 0))
    figure = study.plot()
    figure.savefig(tmp_path / "layers.png")
    assert (tmp_path / "layers.png").stat().st_size > 0


def test_at_least_one_network() -> None:
    with pytest.raises(InputError, match="n must be at least 1"):
        study_layers(SPACE, BATCH, n=0, build=network_builder(SPACE, None, 0))
