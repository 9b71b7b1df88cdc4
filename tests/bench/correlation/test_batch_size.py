"""Scores at several batch sizes, of networks whose numbers are made up."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from bench.correlation.batch_size import BASE_SIZE, FILES, SCORES, by_size, compared

N = 12


def cell(rank: int, psi: int) -> dict[str, Any]:
    """A network of one layer, the larger the higher its rank."""
    sums = dict.fromkeys(("sum_inv_sigma", "sum_mu_over_sigma", "sum_mean_abs_over_sigma"), 3.0 + rank)
    return {
        "auto": 16,
        "psi": {"16": [psi]},
        "union": {"16": psi},
        "layers": [{"percentile": 5, "activation": 0, **sums}],
    }


def test_every_score_is_compared_with_its_values_at_64_samples() -> None:
    networks = [f"net{rank}" for rank in range(N)]
    upward = {name: cell(rank, 10 + rank) for rank, name in enumerate(networks)}
    downward = {name: cell(-rank / N, 10 - rank) for rank, name in enumerate(networks)}
    values = by_size({8: downward, BASE_SIZE: upward})
    accuracies = pd.DataFrame({"accuracy": range(N)}, index=networks)
    found = compared(values, accuracies, ["accuracy"], resamples=10, seed=0).set_index(["score", "batch"])
    for score in SCORES:
        assert found.loc[(score, 8), ["spearman", "difference", "agreement"]].tolist() == pytest.approx([-1, -2, -1])
        assert found.loc[(score, BASE_SIZE), "agreement"] == pytest.approx(1)
    assert found.loc[("lswag, patterns of batch 64", BASE_SIZE), "spearman"] == pytest.approx(1)


def test_a_network_that_one_size_lacks_is_left_out() -> None:
    both = {"a": cell(1, 4), "b": cell(2, 5)}
    values = by_size({8: {"a": cell(1, 4)}, BASE_SIZE: both})
    assert all(table.index.tolist() == ["a"] for table in values.values())


def test_64_samples_are_those_of_the_setting_base() -> None:
    assert FILES == {8: "batch-8", 16: "batch-16", 32: "batch-32", 64: "base", 128: "batch-128"}
