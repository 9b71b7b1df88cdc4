"""How combinations rank rows of a table: against `rank_aggregate` and scipy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from lswag_fast import rank_aggregate
from lswag_fast.data.tables import MIN_ROWS
from lswag_fast.libra.judge import Candidates, Judge, rounded
from lswag_fast.libra.ranks import AGGREGATES, Aggregate
from lswag_fast.libra.windows import ComparisonWindow

RNG = np.random.default_rng(0)
N = 60
SCORES = pd.DataFrame({"nwot": RNG.normal(size=N).round(1), "zico": RNG.lognormal(size=N)})
TARGET, SIZES = pd.Series(RNG.normal(size=N)), pd.Series(RNG.uniform(1, 2, size=N))


@pytest.mark.parametrize("combine", AGGREGATES)
@pytest.mark.parametrize("rows", [None, np.arange(0, N, 3)])
def test_it_is_the_correlation_of_the_aggregate(combine: Aggregate, rows: np.ndarray | None) -> None:
    judge = Judge(Candidates(SCORES, TARGET, SIZES), rows, combine)
    chosen = slice(None) if rows is None else rows
    combined = rank_aggregate(SCORES.iloc[chosen], combine)
    assert judge.rho(["zico", "nwot"]) == rounded(spearmanr(combined, TARGET.iloc[chosen]).statistic)


@pytest.mark.parametrize("combine", AGGREGATES)
def test_inside_windows_ranks_are_those_of_the_window(combine: Aggregate) -> None:
    """Proxies are combined by their ranks among the networks of a window, as a search ranks those of its budget."""
    judge = Judge(Candidates(SCORES, TARGET, SIZES, SIZES, ComparisonWindow("params", 0.3)), None, combine)
    found = []
    for size in SIZES:
        near = (SIZES - size).abs() <= 0.3 * size
        combined = rank_aggregate(SCORES[near], combine)
        if near.sum() >= MIN_ROWS:
            found.append(spearmanr(combined, TARGET[near]).statistic)
    assert len(found) > N / 2
    assert judge.rho(["nwot", "zico"]) == pytest.approx(np.mean(found), rel=1e-9)  # judges round to 12 decimals


def test_what_is_the_same_for_all_ranks_nothing() -> None:
    scores = pd.DataFrame({"nwot": [0.0, 0.0, 1.0, 2.0], "zico": [1.0, 2.0, 0.0, 0.0]})
    target = pd.Series([1.0, 2.0, 3.0, 4.0])
    assert Judge(Candidates(scores, target, target), None, "product").rho(["nwot", "zico"]) == 0
