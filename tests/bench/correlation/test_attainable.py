"""What a pool can reach, on tables whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bench.correlation.attainable import best_combination, bounds

N = 40
ACCURACY = pd.Series(np.arange(N, dtype=float), index=[f"a{i:02d}" for i in range(N)], name="acc")


def complementary() -> pd.DataFrame:
    """Two columns that each rank one half of the networks and turn the other, and one that turns all."""
    rising = ACCURACY.to_numpy()
    low_turned = np.where(rising < N // 2, N // 2 - 1 - rising, rising)
    high_turned = np.where(rising < N // 2, rising, 3 * N // 2 - 1 - rising)
    return pd.DataFrame({"wrong": -rising, "high": high_turned, "low": low_turned}, index=ACCURACY.index)


def test_a_pair_that_errs_on_different_networks_is_found():
    found = best_combination(complementary(), ACCURACY.to_numpy())
    assert found == ("high", "low")


def test_one_column_that_is_right_needs_no_other_and_the_first_of_equals_is_taken():
    scores = complementary().assign(right=ACCURACY, again=2 * ACCURACY)
    assert best_combination(scores, ACCURACY.to_numpy()) == ("right",)


def test_each_way_is_judged_on_the_rows_that_it_was_not_fitted_on():
    scores = complementary()
    rows = {row["way"]: row for row in bounds(scores, ACCURACY, 3, ("low",))}
    here = scores.sample(N // 2, random_state=3).index
    rest = scores.index.difference(here)
    assert (rows["search"]["n"], rows["search"]["n_rest"]) == (N // 2, N // 2)
    for key, chosen in {"rho": here, "rho_rest": rest}.items():
        expected = scores.loc[chosen, "low"].corr(ACCURACY[chosen], method="spearman")
        assert rows["all_labels"][key] == pytest.approx(expected)


def test_ridge_finds_what_no_three_columns_show():
    rng = np.random.default_rng(1)
    parts = rng.normal(size=(80, 6))
    scores = pd.DataFrame(parts, columns=list("abcdef"))
    accuracy = pd.Series(parts.sum(axis=1), name="acc")
    rows = {row["way"]: row["rho_rest"] for row in bounds(scores, accuracy, 0, ("a",))}
    assert rows["ridge"] > 0.9 > rows["search"]
