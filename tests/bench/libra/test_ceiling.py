"""What can be reached inside windows: the bounds on networks whose answer is known."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from bench.libra import ceiling
from lswag_fast.libra.judge import Candidates, Judge
from lswag_fast.libra.windows import ComparisonWindow

N = 80
WINDOW = ComparisonWindow("params", 0.1)
RNG = np.random.default_rng(0)
SIZES = np.repeat([1.0, 2.0], N // 2)
LEFT, RIGHT, NOISE = RNG.normal(size=(3, N))
ACCURACY = LEFT + RIGHT


def candidates(**columns: np.ndarray) -> Candidates:
    """Two windows of networks with these proxies."""
    size = pd.Series(SIZES)
    return Candidates(pd.DataFrame(columns), pd.Series(ACCURACY), size, size, WINDOW)


def test_the_best_sum_has_the_members_and_the_correlation_that_libra_has() -> None:
    table = candidates(left=LEFT, noise=NOISE, right=RIGHT)
    found = ceiling.on_halves(table, ceiling.best_sum)
    assert found["members"] == "left right"
    assert found["seen"] == pytest.approx(Judge(table, None, "log_rank").rho(["left", "right"]))
    assert found["low"] <= found["unseen"] <= found["high"]
    assert found["n"] == N


def test_ridge_turns_what_points_the_wrong_way() -> None:
    table = candidates(left=LEFT, turned=-RIGHT)
    weights = ceiling.ridge(ceiling.Scored(table, np.arange(N)))
    assert weights[0] > 0 > weights[1]
    found = ceiling.on_halves(table, ceiling.ridge)
    assert found["unseen"] > 0.8
    assert found["seen"] > ceiling.on_halves(table, ceiling.best_sum)["seen"]


def test_a_window_with_fewer_networks_is_ranked_as_it_is_alone() -> None:
    rows = np.arange(N // 2 + 10)  # 40 of one size, 10 of the other
    found = ceiling.Scored(candidates(left=LEFT), rows)
    assert np.isnan(found.logs[1]).sum() == 30
    small = pd.Series(LEFT[N // 2 : N // 2 + 10]).rank(pct=True)
    assert np.exp(found.logs[1, :10, 0]) == pytest.approx(small.to_numpy())


def test_an_architecture_in_numbers() -> None:
    arch = {"embed_dim": 192, "depth": 4, "num_heads": [3, 3, 4, 4], "mlp_ratio": [3.0, 4.0, 4.0, 3.5]}
    assert ceiling.features(json.dumps(arch), ["all", "first", "last"]) == [4, 192, 3.5, 3.625, 3, 3.5, 4, 3.75]


def test_networks_deeper_than_the_shallowest_are_told_by_one_bit() -> None:
    archs = [
        json.dumps({"embed_dim": 192, "depth": depth, "num_heads": [3] * depth, "mlp_ratio": [4.0] * depth})
        for depth in (13, 12, 14)
    ]
    found = ceiling.with_blocks(pd.DataFrame({"top1": [1.0, 2.0, 3.0]}, index=archs))
    assert found["deeper"].tolist() == [1, 0, 1]
    assert found["late"].nunique() == 2  # the last third, rounded up: 4 of 12 blocks, 5 of 13 and of 14


def test_accuracies_of_other_images_rank_the_worse_the_more_images_differ() -> None:
    y = ACCURACY / 10  # a spread of .14 points, that of the smallest difference measured
    means = [np.mean(ceiling.other_images(y, SIZES, WINDOW, share)) for share in (1e-9, 0.05, 0.3)]
    assert means[0] == pytest.approx(1, abs=1e-3)
    assert means == sorted(means, reverse=True)


def test_all_ways_have_a_row_for_the_scored_and_for_all_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceiling, "FOLDS", 2)  # of 80 networks, fifths hold no window of ten
    monkeypatch.setattr(ceiling, "REPEATS", 1)
    archs = [
        json.dumps({"embed_dim": 192, "depth": 4, "num_heads": [3, 3, 3, int(heads)], "mlp_ratio": [3.5, 3.5, 4.0, i]})
        for i, heads in enumerate(RNG.integers(3, 5, size=N))
    ]
    columns = {"zico": LEFT, "nwot": RIGHT, "params": 1e6 * SIZES, "params_m": SIZES}
    table = pd.DataFrame({"top1": ACCURACY, **columns}, index=archs)
    proxies = ["zico", "nwot", "params"]
    found = ceiling.measured(table, table, "top1", proxies, WINDOW).set_index(["networks", "way"])
    assert list(found.loc["scored"].index) == list(ceiling.ways(proxies))
    published = list(found.loc["published"].index)
    assert published[:5] == ["params", "late", "deeper", "boosting, means", "boosting, thirds"]
    assert found.loc[("scored", "best sum with late"), "members"] == "zico nwot"
    assert found["unseen"].notna().all()
