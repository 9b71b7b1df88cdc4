"""The formulas on plain arrays, by hand; `rank_aggregate` and a study's objective are tested against each other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lswag_fast.errors import InputError
from lswag_fast.libra.ranks import AGGREGATES, check_aggregate, combine_ranks, combine_values

RANKS = np.array([[1.0, 3.5], [3.0, 1.0], [2.0, 3.5], [4.0, 2.0]])


def test_ranks_are_combined_by_their_formulas() -> None:
    assert combine_ranks(RANKS, 4, "rank_sum").tolist() == [4.5, 4.0, 5.5, 6.0]
    assert combine_ranks(RANKS, 4, "mean_rank").tolist() == [4.5 / 8, 4.0 / 8, 5.5 / 8, 6.0 / 8]
    expected = [math.log(a / 4) + math.log(b / 4) for a, b in RANKS]
    assert combine_ranks(RANKS, 4, "log_rank").tolist() == pytest.approx(expected, rel=1e-15)  # two logarithms


def test_some_rows_combine_as_they_do_among_all() -> None:
    assert combine_ranks(RANKS[1:3], 4, "mean_rank").tolist() == combine_ranks(RANKS, 4, "mean_rank").tolist()[1:3]


def test_values_are_scaled_and_multiplied_and_a_constant_proxy_counts_as_one() -> None:
    values = np.array([[0.0, 7.0], [1.0, 7.0], [4.0, 7.0]])
    assert combine_values(values, values.min(axis=0), values.max(axis=0)).tolist() == [0.0, 0.25, 1.0]


def test_another_way_is_refused_by_the_name_of_its_argument() -> None:
    for how in AGGREGATES:
        check_aggregate("how", how)
    with pytest.raises(InputError, match="combine must be one of log_rank, mean_rank, rank_sum, product, got 'borda'"):
        check_aggregate("combine", "borda")
