"""Rank correlations with intervals: by hand, against scipy's definitions, directions and refusals."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import ndcg_score

from lswag_fast.errors import InputError, TableError
from lswag_fast.evaluation import correlate
from lswag_fast.libra.windows import ComparisonWindow

RNG = np.random.default_rng(0)
N = 200
Y = RNG.normal(size=N)
TABLE = pd.DataFrame(
    {
        "accuracy": Y,
        "same": np.exp(Y),
        "opposite": -Y,
        "noisy": Y + RNG.normal(size=N),
        "constant": 1.0,
        "te_nas_ntk": -Y,
    }
)


def test_monotone_functions_rank_perfectly() -> None:
    found = correlate(TABLE, "accuracy", ["same", "opposite"], n_bootstrap=20)
    for measure in ("spearman", "kendall"):
        assert found.loc["same", [measure, f"{measure}_low", f"{measure}_high"]].tolist() == pytest.approx([1, 1, 1])
        assert found.loc["opposite", measure] == pytest.approx(-1)
    assert found.loc["same", "top5"] == found.loc["same", "ndcg10"] == 1
    assert found.loc["opposite", "top5"] == 0


def test_a_proxy_of_which_less_is_better_is_turned() -> None:
    assert correlate(TABLE, "accuracy", ["te_nas_ntk"], n_bootstrap=0).loc["te_nas_ntk", "spearman"] == pytest.approx(1)


def test_spearman_kendall_and_overlap_by_counting() -> None:
    table = TABLE.iloc[:40]
    z, y = table["noisy"].to_numpy(), table["accuracy"].to_numpy()
    found = correlate(table, "accuracy", ["noisy"], n_bootstrap=0).loc["noisy"]
    signs = [np.sign((z[a] - z[b]) * (y[a] - y[b])) for a in range(40) for b in range(a)]
    assert found["kendall"] == pytest.approx(np.mean(signs), rel=1e-12)
    ranks = [values.argsort().argsort() for values in (z, y)]
    assert found["spearman"] == pytest.approx(1 - 6 * sum((ranks[0] - ranks[1]) ** 2) / (40 * (40**2 - 1)), rel=1e-12)
    best = [set(np.argsort(values)[-2:]) for values in (z, y)]  # 5 % of 40
    assert found["top5"] == len(best[0] & best[1]) / 2
    assert found["ndcg10"] == pytest.approx(ndcg_score([y - y.min()], [z], k=10), rel=1e-12)
    assert math.isnan(found["spearman_low"])


def test_intervals_hold_the_value_and_are_seeded() -> None:
    one, two, other = (correlate(TABLE, "accuracy", ["noisy"], n_bootstrap=100, seed=seed) for seed in (1, 1, 2))
    row = one.loc["noisy"]
    assert row["spearman_low"] < row["spearman"] < row["spearman_high"]
    # For normal columns of correlation r the standard error of Spearman's is about (1 - r^2) / sqrt(n) = 0.035.
    assert 0.05 < row["spearman_high"] - row["spearman_low"] < 0.25
    pd.testing.assert_frame_equal(one, two)
    assert one.loc["noisy", "spearman_low"] != other.loc["noisy", "spearman_low"]


def test_rows_that_are_not_finite_are_left_out_proxy_by_proxy() -> None:
    table = TABLE.copy()
    table.loc[:2, "same"] = [math.nan, math.inf, -math.inf]
    found = correlate(table, "accuracy", ["same", "opposite"], n_bootstrap=0)
    assert found[["n", "n_dropped"]].values.tolist() == [[197, 3], [200, 0]]
    assert found.loc["same", "spearman"] == pytest.approx(1)


def test_a_constant_proxy_has_none() -> None:
    row = correlate(TABLE, "accuracy", ["constant"], n_bootstrap=5).loc["constant"]
    assert row[["spearman", "kendall", "top5", "ndcg10"]].isna().all()


def test_resamples_that_rank_nothing_are_left_out_in_silence() -> None:
    table = pd.DataFrame({"accuracy": [1.0] + [0.0] * 9, "size": np.arange(10.0)})  # of ten rows, 0.9^10 lack the first
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        row = correlate(table, "accuracy", ["size"], n_bootstrap=50).loc["size"]
    assert row["spearman"] == pytest.approx(-math.sqrt(27 / 99))  # cov = 4.5 / 9, of variances 0.1 and 99 / 12
    assert -1 <= row["spearman_low"] < row["spearman_high"] < 0


def test_refusals() -> None:
    with pytest.raises(TableError, match="no column 'magic'"):
        correlate(TABLE, "accuracy", ["magic"])
    with pytest.raises(TableError, match="9 of 9 rows are finite, at least 10"):
        correlate(TABLE.iloc[:9], "accuracy", ["same"])
    for n_bootstrap in (-1, 1, 2.5, "3", None, True):
        with pytest.raises(InputError, match="n_bootstrap must be 0 for no intervals, or from 2 to"):
            correlate(TABLE, "accuracy", ["same"], n_bootstrap=n_bootstrap)
    for seed in (-1, 1.5, "x", None):
        with pytest.raises(InputError, match="seed must be an integer >= 0"):
            correlate(TABLE, "accuracy", ["same"], seed=seed)
    with pytest.raises(InputError, match=r"window must be None or a ComparisonWindow, .* got 'params:8%'"):
        correlate(TABLE, "accuracy", ["same"], window="params:8%")
    with pytest.raises(TableError, match=r"a column has one name, got \['accuracy'\]"):
        correlate(TABLE, ["accuracy"], ["same"])
    with pytest.raises(InputError, match=r"proxies must be a list of names, got \[\]"):
        correlate(TABLE, "accuracy", [])
    with pytest.raises(TableError, match="a table is a pandas DataFrame"):
        correlate({"accuracy": [1.0]}, "accuracy", ["same"])
    with pytest.raises(InputError, match="the target 'accuracy' is among the proxies"):
        correlate(TABLE, "accuracy", ["same", "accuracy"])


def test_inside_windows_size_says_nothing_that_size_alone_says() -> None:
    sizes = RNG.uniform(1, 2, size=N)
    quality = RNG.normal(size=N)
    table = TABLE.assign(params=sizes, accuracy=10 * sizes + 0.1 * quality, quality=quality)
    found = correlate(table, "accuracy", ["params", "quality"], window=ComparisonWindow("params", 0.02), n_bootstrap=50)
    assert found.loc["params", "spearman"] > 0.9 > 0.5 > found.loc["quality", "spearman"]
    for name, row in found.iterrows():
        windows = ComparisonWindow("params", 0.02).among(sizes)
        assert row["inside"] == windows.spearman(table[name].to_numpy(), table["accuracy"].to_numpy())
        assert row["n_inside"] == N - windows.n_left_out
        assert row["inside_low"] < row["inside"] < row["inside_high"]


@pytest.mark.filterwarnings("error")
def test_a_target_that_is_the_same_where_a_proxy_has_values_ranks_nothing() -> None:
    halves = np.arange(N) < N // 2
    table = TABLE.assign(
        accuracy=np.where(halves, 1.0, TABLE["accuracy"]), part=TABLE["noisy"].where(halves), params=1.0
    )
    row = correlate(table, "accuracy", ["part"], window=ComparisonWindow("params"), n_bootstrap=5).loc["part"]
    assert row["n"] == N // 2
    assert row.drop(["n", "n_dropped", "n_inside"]).isna().all()


def test_a_target_that_is_the_same_for_all_is_refused() -> None:
    with pytest.raises(TableError, match="the target 'constant' is 1 in every row"):
        correlate(TABLE, "constant", ["noisy"])


def test_too_small_windows_are_refused() -> None:
    with pytest.raises(TableError, match="no window"):
        correlate(
            TABLE.assign(params=10.0 ** np.arange(N)), "accuracy", ["noisy"], window=ComparisonWindow("params", 0.1)
        )
