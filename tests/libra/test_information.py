"""Entropies in bits: closed forms, scikit-learn, the binnings by hand, what holds for all columns, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import mutual_info_score

from lswag_fast.errors import InputError
from lswag_fast.libra.information import (
    Binning,
    Codes,
    Logarithm,
    conditional_entropy,
    discretised,
    entropy,
    sturges_bins,
)

ROUNDING = 1e-12  # sums of at most some thousand terms below 1, in float64
BINNINGS: list[Binning] = ["equal_width", "equal_count", "ranks"]


def codes(*values: int) -> Codes:
    return np.array(values, dtype=np.int64)


def array(*values: float) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)


def random_codes(n_values: int, seed: int, n_rows: int = 500) -> Codes:
    return np.random.default_rng(seed).integers(0, n_values, n_rows)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 24])
def test_uniform_values_have_the_logarithm_of_their_number(n: int) -> None:
    assert entropy([np.tile(np.arange(n), 7)]) == pytest.approx(math.log2(n), abs=ROUNDING)


def test_a_constant_has_no_entropy_and_no_minus_sign() -> None:
    found = entropy([codes(5, 5, 5)])
    assert found == 0
    assert math.copysign(1, found) == 1


def test_entropy_by_hand() -> None:
    assert entropy([codes(0, 0, 0, 1)]) == pytest.approx(0.25 * 2 + 0.75 * math.log2(4 / 3), abs=ROUNDING)
    assert entropy([codes(0, 0, 1, 1), codes(0, 0, 0, 1)]) == pytest.approx(0.5 * 1 + 2 * 0.25 * 2, abs=ROUNDING)


def test_entropies_of_independent_columns_add() -> None:
    first, second = np.repeat(codes(0, 0, 1), 4), np.tile(codes(0, 1, 2, 2), 3)
    assert entropy([first, second]) == pytest.approx(entropy([first]) + entropy([second]), abs=ROUNDING)
    assert conditional_entropy(first, [second]) == pytest.approx(entropy([first]), abs=ROUNDING)


def test_a_function_of_the_given_column_is_known() -> None:
    given_column = random_codes(6, seed=0)
    assert conditional_entropy(given_column % 3, [given_column]) == 0
    assert conditional_entropy(given_column, [given_column, random_codes(4, seed=1)]) == 0
    assert conditional_entropy(given_column, [given_column % 3]) > 0.5  # two equally likely values remain: about 1 bit


def test_exclusive_or_is_seen_by_both_columns_only_together() -> None:
    first, second = codes(0, 0, 1, 1), codes(0, 1, 0, 1)
    assert conditional_entropy(first ^ second, [first]) == 1
    assert conditional_entropy(first ^ second, [second]) == 1
    assert conditional_entropy(first ^ second, [first, second]) == 0


@pytest.mark.parametrize("seed", range(4))
def test_information_agrees_with_scikit_learn(seed: int) -> None:
    target = random_codes(5, seed)
    noisy = np.where(random_codes(3, seed + 10) > 0, target, random_codes(7, seed + 20))
    in_bits = mutual_info_score(target, noisy) / math.log(2)  # theirs is in nats
    found = entropy([target]) - conditional_entropy(target, [noisy])
    assert found == pytest.approx(in_bits, abs=ROUNDING)
    assert found > 0.3  # two thirds of the rows show the target, of 2.3 bits


def test_the_number_of_bins() -> None:
    assert [sturges_bins(n) for n in (100, 500, 1_000, 2_000, 15_625)] == [16, 22, 24, 26, 33]
    assert [sturges_bins(n, "base10") for n in (100, 500, 1_000, 2_000, 15_625)] == [8, 10, 11, 12, 15]
    assert sturges_bins(1) == 1


def test_equal_width_puts_an_edge_into_the_upper_bin_and_the_largest_into_the_last() -> None:
    values = array(0, 0.99, 1, 1.5, 2, 3, 3.99, 4)
    assert discretised(values, 4).tolist() == [0, 0, 1, 1, 2, 3, 3, 3]
    assert discretised(-values, 4).tolist() == [3, 3, 3, 2, 2, 1, 0, 0]


def test_equal_width_is_what_numpy_s_histogram_counts() -> None:
    values = np.random.default_rng(0).normal(size=1_000)
    np.testing.assert_array_equal(np.bincount(discretised(values, 24), minlength=24), np.histogram(values, 24)[0])


def test_equal_count_puts_as_many_into_each_bin() -> None:
    values = array(1, 10, 100, 1_000, 10_000, 100_000, 2, 20)
    assert discretised(values, 4, "equal_count").tolist() == [0, 1, 2, 2, 3, 3, 0, 1]
    assert discretised(array(1, 2, 2, 2, 2, 9), 3, "equal_count").tolist() == [0, 2, 2, 2, 2, 2]


def test_ranks_are_even_and_ties_share_theirs() -> None:
    values = array(1, 10, 100, 1_000, 10_000, 100_000, 2, 20)
    assert discretised(values, 4, "ranks").tolist() == [0, 1, 2, 2, 3, 3, 0, 1]
    # Ranks 1, 3.5 (four times) and 6: edges at 1, 2.67, 4.33 and 6.
    assert discretised(array(1, 2, 2, 2, 2, 9), 3, "ranks").tolist() == [0, 1, 1, 1, 1, 2]


def test_an_outlier_puts_all_others_into_one_bin_of_equal_width_alone() -> None:
    values = array(*range(23), 1e9)
    assert discretised(values, 24, "equal_width").tolist() == [0] * 23 + [23]
    assert discretised(values, 24, "equal_count").tolist() == list(range(24))
    assert discretised(values, 24, "ranks").tolist() == list(range(24))


def test_only_ranks_see_no_monotone_transform() -> None:
    values = np.random.default_rng(0).normal(size=300)
    for transformed in (np.exp(3 * values), values**3, values * 1e-6 + 4):
        np.testing.assert_array_equal(discretised(transformed, 20, "ranks"), discretised(values, 20, "ranks"))
    assert (discretised(np.exp(3 * values), 20) != discretised(values, 20)).any()


@pytest.mark.parametrize("binning", BINNINGS)
@pytest.mark.parametrize("values", [array(3, 3, 3, 3), array(-2.5)], ids=["constant", "single"])
def test_equal_values_lie_in_one_bin(binning: Binning, values: NDArray[np.float64]) -> None:
    assert len(set(discretised(values, 5, binning).tolist())) == 1


@pytest.mark.parametrize("binning", BINNINGS)
def test_values_that_differ_by_one_rounding_are_binned(binning: Binning) -> None:
    least = 0.7
    found = discretised(array(least, math.nextafter(least, 1), least), 24, binning)
    assert found[0] == found[2] < found[1] == 23


@pytest.mark.parametrize("binning", BINNINGS)
@settings(deadline=None)  # a test never checks a time
@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40),
    n_bins=st.integers(1, 30),
    seed=st.integers(0, 99),
)
def test_bins_keep_the_order_and_see_no_other_order_of_rows(
    binning: Binning, values: list[float], n_bins: int, seed: int
) -> None:
    column = np.array(values)
    found = discretised(column, n_bins, binning)
    assert found.dtype == np.int64
    assert found.min() >= 0
    assert found.max() <= n_bins - 1
    assert (np.diff(found[np.argsort(column)]) >= 0).all()
    order = np.random.default_rng(seed).permutation(len(column))
    np.testing.assert_array_equal(discretised(column[order], n_bins, binning), found[order])


@st.composite
def columns(draw: st.DrawFn) -> tuple[Codes, Codes, Codes]:
    """Three columns of few values, from independent to all equal."""
    rows = draw(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=60))
    first, second, third = np.array(rows, dtype=np.int64).T
    return first, second, third


@settings(deadline=None)
@given(columns())
def test_the_chain_rule(three: tuple[Codes, Codes, Codes]) -> None:
    y, z1, z2 = three
    chained = entropy([z1]) + conditional_entropy(z2, [z1]) + conditional_entropy(y, [z1, z2])
    assert entropy([y, z1, z2]) == pytest.approx(chained, abs=ROUNDING)


@settings(deadline=None)
@given(columns())
def test_what_is_given_takes_entropy_away_but_never_more_than_there_is(three: tuple[Codes, Codes, Codes]) -> None:
    y, z1, z2 = three
    both, one = conditional_entropy(y, [z1, z2]), conditional_entropy(y, [z1])
    assert -ROUNDING <= both <= one + ROUNDING
    assert one <= entropy([y]) + ROUNDING <= math.log2(5) + 2 * ROUNDING


@settings(deadline=None)
@given(columns(), st.integers(0, 99))
def test_the_order_of_rows_is_not_seen_at_all(three: tuple[Codes, Codes, Codes], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(three[0]))
    y, z1, z2 = (column[order] for column in three)
    assert entropy([y, z1]) == entropy(list(three[:2]))
    assert conditional_entropy(y, [z1, z2]) == conditional_entropy(three[0], list(three[1:]))


@settings(deadline=None)
@given(columns())
def test_names_of_values_and_the_order_of_columns_are_not_seen(three: tuple[Codes, Codes, Codes]) -> None:
    y, z1, z2 = three
    found = conditional_entropy(y, [z1, z2])
    assert conditional_entropy(y, [z2, 9 - z1]) == pytest.approx(found, abs=ROUNDING)


@pytest.mark.parametrize("logarithm", ["base2", "", None])
def test_another_logarithm_is_refused(logarithm: Logarithm) -> None:
    with pytest.raises(InputError, match=f"logarithm must be one of natural, base10, got {logarithm!r}"):
        sturges_bins(100, logarithm)


def test_another_binning_is_refused() -> None:
    with pytest.raises(InputError, match="binning must be one of equal_width, equal_count, ranks, got 'quantile'"):
        discretised(array(1, 2), 2, "quantile")  # type: ignore[arg-type]
