"""Intervals of ranks against the t test of scipy, and by cases that are clear."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import ttest_rel

from lswag_fast.errors import InputError
from lswag_fast.libra.rank_intervals import rank_intervals, standard_error
from lswag_fast.libra.ranks import combine_ranks


def test_ranks_are_those_that_the_pairs_leave_open() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(6, 5)) + rng.normal(size=5) + np.array([[0.0, 0.2, 1.0, 1.2, 3.0, 3.1]]).T
    intervals = rank_intervals(scores)
    better = {(a, b): ttest_rel(scores[a], scores[b]) for a, b in itertools.permutations(range(6), 2)}
    for place, found in enumerate(intervals):
        above = sum(test.statistic > 0 and test.pvalue < 0.05 for (_, b), test in better.items() if b == place)
        below = sum(test.statistic > 0 and test.pvalue < 0.05 for (a, _), test in better.items() if a == place)
        assert (found.best, found.worst) == (1 + above, 6 - below)
        assert found.mean == pytest.approx(scores[place].mean())
        assert found.standard_error == pytest.approx(scores[place].std(ddof=1) / 5**0.5)
    assert 1 < max(found.worst - found.best for found in intervals) < 5  # neither all alike nor all apart


def test_what_is_common_to_a_repeat_does_not_hide_a_difference() -> None:
    """Scores that batches move by 100 and that always differ by about 1."""
    rows = [[100.0, 0.0, 200.0, 50.0], [101.1, 0.9, 201.0, 51.0]]
    assert [(found.best, found.worst) for found in rank_intervals(rows)] == [(2, 2), (1, 1)]


def test_equal_scores_share_their_ranks() -> None:
    assert [(found.best, found.worst) for found in rank_intervals([[1.0, 1.0]] * 3)] == [(1, 3)] * 3
    assert standard_error([2.0, 2.0]) == 0


@pytest.mark.parametrize("rows", [[[1.0]], [1.0, 2.0]])
def test_one_repeat_is_refused(rows: list) -> None:
    with pytest.raises(InputError, match="two repeats of each score or more"):
        rank_intervals(rows)


@pytest.mark.parametrize("n_candidates", [2, 3])
@pytest.mark.parametrize("n_repeats", [2, 3, 6])
@pytest.mark.parametrize("n_proxies", [2, 3])
def test_ranks_drawn_by_chance_are_told_apart_as_seldom_as_is_said(
    n_candidates: int, n_repeats: int, n_proxies: int
) -> None:
    """Of two candidates and three proxies the t test alone claims .30 at two repeats and .11 at three."""
    rng, n_draws, n_told_apart = np.random.default_rng(0), 500, 0
    for _ in range(n_draws):
        ranks = rng.normal(size=(n_repeats, n_candidates, n_proxies)).argsort(axis=1) + 1.0
        found = rank_intervals(combine_ranks(ranks, n_candidates, "log_rank").T, of_ranks=True)
        n_told_apart += sum(each.best - 1 for each in found)
    rate = n_told_apart / n_draws / (n_candidates * (n_candidates - 1) / 2)
    assert rate < 0.05 + 2.5 * (0.05 / n_draws) ** 0.5


@pytest.mark.parametrize(("n_repeats", "intervals"), [(5, [(1, 2), (1, 2)]), (6, [(2, 2), (1, 1)])])
def test_the_same_difference_of_ranks_counts_from_six_repeats_on(n_repeats: int, intervals: list) -> None:
    # Sums of logarithms whose differences are the same but for rounding.
    lower, higher = (
        combine_ranks(np.array(ranks), 10, "log_rank") for ranks in ([[1.0, 1], [2, 4]], [[3.0, 1], [4, 6]])
    )
    rows = [np.resize(lower, n_repeats), np.resize(higher, n_repeats)]
    assert [(found.best, found.worst) for found in rank_intervals(rows, of_ranks=True)] == intervals
    assert [(found.best, found.worst) for found in rank_intervals(rows)] == [(2, 2), (1, 1)]
