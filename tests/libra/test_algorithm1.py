"""Algorithm 1: by hand, against plain Python, its bounds, its ties, what order does not matter, published tables."""

from __future__ import annotations

import itertools
import math
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from lswag_fast import Libra
from lswag_fast.data.tables import read_table
from lswag_fast.errors import LswagWarning
from lswag_fast.libra.algorithm1 import Correlation
from lswag_fast.libra.information import Binning, sturges_bins
from support.libra_oracle import N_ROWS, algorithm_1, by_hand, pearson, spearman, swapped
from support.published import published_file

published = partial(Libra, rule="published")
ROUNDING = 1e-11  # the library rounds to 12 decimals what it compares


def worked() -> pd.DataFrame:
    """Base 10 gives four bins: the target's rows fall into 000 11 222 333."""
    return by_hand(
        size=swapped((0, 5)),
        epe_nas=swapped((0, 10)),  # S = 200
        nwot=swapped((0, 3)),  # S = 18, bins 1000 1 222 333
        zen=swapped((0, 1), (4, 5)),  # S = 4, bins 000 12 122 333
        flops=swapped((2, 3), (9, 10)),  # S = 4, bins of snip
        snip=swapped((2, 3)),  # S = 2, bins 001 01 222 333
    )


def test_the_worked_example() -> None:
    libra = published(logarithm="base10").fit(worked(), "acc", bias="size")
    assert libra.selection == ("snip", "flops", "nwot")
    found = libra.explain()
    assert found.index.tolist() == ["snip", "flops", "zen", "nwot", "epe_nas"]  # flops and zen tie, by name
    s = {"snip": 2, "flops": 4, "zen": 4, "nwot": 18, "epe_nas": 200}
    assert found["rho"].to_dict() == pytest.approx({name: 1 - s[name] / 220 for name in s}, abs=ROUNDING)
    assert found["in_tolerance"].to_dict() == {name: name != "epe_nas" for name in s}
    assert found["role"].to_dict() == {"snip": "z1", "flops": "z2", "zen": "", "nwot": "z3", "epe_nas": ""}
    assert set(found["note"]) == {""}


def test_the_gains_of_the_worked_example() -> None:
    """Under snip's bin 0 lie the target's bins 0, 0, 1, under its bin 1 the bins 0, 1: zen tells all of them apart,
    nwot leaves one pair, flops tells nothing."""
    found = published(logarithm="base10").fit(worked(), "acc", bias="size").explain()["information_gain"]
    three_rows = (2 * math.log2(3 / 2) + math.log2(3)) / 11
    expected = {"flops": 0.0, "nwot": three_rows, "zen": three_rows + 2 / 11}
    assert found[["flops", "nwot", "zen"]].to_dict() == pytest.approx(expected, abs=ROUNDING)
    assert found[["snip", "epe_nas"]].isna().all()


def test_the_biases_of_the_worked_example() -> None:
    """S to `size`, which has 50 to the target."""
    fit = published(logarithm="base10").fit(worked(), "acc", bias="size").result
    s = {"snip": 52, "flops": 54, "zen": 34, "nwot": 38, "epe_nas": 5**2 + 5**2 + 10**2}
    assert fit.target_bias == pytest.approx(1 - 50 / 220, abs=ROUNDING)
    assert fit.proxies["bias"].to_dict() == pytest.approx({name: 1 - s[name] / 220 for name in s}, abs=ROUNDING)
    distances = {name: abs(s[name] - 50) / 220 for name in s}
    assert fit.proxies["bias_distance"].to_dict() == pytest.approx(distances, abs=ROUNDING)
    assert (fit.target, fit.bias, fit.n_rows, fit.n_dropped, fit.n_bins) == ("acc", "size", 11, 0, 4)
    assert fit.tolerance == 0.1


def noisy(seed: int, n_rows: int = 150) -> pd.DataFrame:
    """A target, a size that goes with it, and proxies near enough for all to be candidates, heavy tails among them."""
    rng = np.random.default_rng(seed)
    acc = rng.normal(size=n_rows)
    columns = {name: acc + 0.4 * rng.normal(size=n_rows) for name in ("nwot", "zen", "snip", "jacov", "flops")}
    columns["snip"], columns["flops"] = np.exp(columns["snip"]), np.sinh(2 * columns["flops"])
    return pd.DataFrame({"acc": acc, "params": np.exp(acc + rng.normal(size=n_rows)), **columns})


@pytest.mark.parametrize("kind", ["rank", "raw"])
@pytest.mark.parametrize("seed", range(8))
def test_it_is_the_algorithm_in_plain_python(seed: int, kind: Correlation) -> None:
    table = noisy(seed)
    names = [name for name in table.columns if name not in ("acc", "params")]
    lists = {name: table[name].tolist() for name in table.columns}
    correlation = spearman if kind == "rank" else pearson
    expected = algorithm_1({n: lists[n] for n in names}, lists["acc"], lists["params"], sturges_bins(150), correlation)
    fit = published(bias=kind).fit(table, "acc", proxies=names).result
    assert fit.selection == expected.selection
    assert fit.target_bias == pytest.approx(expected.target_bias, abs=ROUNDING)
    assert fit.proxies["rho"].to_dict() == pytest.approx(expected.rho, abs=ROUNDING)
    assert fit.proxies["bias"].to_dict() == pytest.approx(expected.biases, abs=ROUNDING)
    assert fit.proxies["information_gain"].dropna().to_dict() == pytest.approx(expected.gains, abs=ROUNDING)


def at(total: int) -> list[float]:
    """An order of 0 .. 10 with S = total, from exchanges that go hardly farther from it."""
    rng, order = np.random.default_rng(total), np.arange(N_ROWS)

    def distance(values: NDArray[np.int64]) -> int:
        return abs(int(((values - np.arange(N_ROWS)) ** 2).sum()) - total)

    while distance(order):
        pair, changed = rng.permutation(N_ROWS)[:2], order.copy()
        changed[pair] = order[pair[::-1]]
        order = changed if distance(changed) <= distance(order) + 4 else order
    return [float(value) for value in order]


@pytest.mark.parametrize(("tolerance", "best"), [(0.1, 0), (0.1, 180), (0.1, 166), (0.1, 220), (0.2, 180), (0.2, 230)])
def test_a_proxy_at_the_tolerance_itself_is_no_candidate(tolerance: float, best: int) -> None:
    edge = best + round(220 * tolerance)
    first = swapped() if best == 0 else at(best)
    table = by_hand(first=first, in1=at(edge - 2), in2=at(edge - 4), edge=at(edge), beyond=at(edge + 2), size=swapped())
    names = ["first", "in1", "in2", "edge", "beyond"]
    found = published(tolerance).fit(table, "acc", bias="size", proxies=names).explain()
    assert found.index.tolist() == ["first", "in2", "in1", "edge", "beyond"]
    assert found["in_tolerance"].tolist() == [True, True, True, False, False]
    assert found["information_gain"].notna().tolist() == [False, True, True, False, False]


def rivals(*totals: int) -> pd.DataFrame:
    """`first` correlates by 1, the others (a, b, ...) have S as given."""
    return by_hand(size=swapped(), first=swapped(), **dict(zip("abc", map(at, totals), strict=False)))


def test_it_widens_to_two_tenths_and_says_so() -> None:
    with pytest.warns(
        LswagWarning, match=r"within 0\.1 of .*\(first, rho 1\.000\).*; widened to 0\.2, .* 3$"
    ) as caught:
        libra = published().fit(rivals(20, 24, 42), "acc", bias="size", proxies=["first", "a", "b", "c"])
    assert [w.filename for w in caught] == [__file__]
    assert libra.result.tolerance == 0.2
    assert set(libra.explain().query("in_tolerance").index) == {"first", "a", "b", "c"}
    assert len(set(libra.selection)) == 3


def test_widening_is_strict_too_and_may_leave_two() -> None:
    with pytest.warns(LswagWarning, match=r"widened to 0\.2, which leaves 1"):
        libra = published().fit(rivals(42, 44), "acc", bias="size", proxies=["first", "a", "b"])
    assert libra.selection == ("first", "a")
    assert libra.explain()["role"].tolist() == ["z1", "z2", ""]


def test_none_near_the_best_leaves_it_alone() -> None:
    with pytest.warns(LswagWarning, match=r"widened to 0\.2, which leaves 0"):
        libra = published().fit(rivals(44, 100, 200), "acc", bias="size", proxies=["first", "a", "b", "c"])
    assert libra.selection == ("first",)


@pytest.mark.parametrize("tolerance", [0.2, 0.3])
def test_a_tolerance_that_cannot_be_widened_is_not_called_widened(tolerance: float) -> None:
    with pytest.warns(LswagWarning, match=rf"within {tolerance:g} of .* lie too few others: 1$"):
        libra = published(tolerance).fit(rivals(20, 200), "acc", bias="size", proxies=["first", "a", "b"])
    assert libra.result.tolerance == tolerance
    assert libra.selection == ("first", "a")


def test_two_candidates_need_no_widening() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        libra = published().fit(rivals(18, 20, 24), "acc", bias="size", proxies=["first", "a", "b", "c"])
    assert (libra.result.tolerance, set(libra.selection)) == (0.1, {"first", "a", "b"})


@pytest.mark.parametrize("order", list(itertools.permutations(["a", "b", "c"])))
def test_equal_proxies_are_taken_by_name(order: tuple[str, ...]) -> None:
    table = by_hand(size=swapped((1, 2)), **{name: swapped((2, 3)) for name in order})
    for names in (order, order[::-1]):
        assert published().fit(table, "acc", bias="size", proxies=names).selection == ("a", "b", "c")


def test_equal_gains_go_to_the_higher_correlation_before_the_name() -> None:
    table = by_hand(
        size=swapped((0, 10)), top=swapped((2, 3)), a=swapped((0, 1), (2, 3), (9, 10)), z=swapped((2, 3), (9, 10))
    )
    libra = published(logarithm="base10").fit(table, "acc", bias="size", proxies=["a", "z", "top"])
    assert libra.explain()["information_gain"].dropna().tolist() == [0.0, 0.0]
    assert libra.selection == ("top", "z", "a")


@pytest.mark.filterwarnings("ignore:LIBRA. the bias 'size'")
def test_equal_biases_go_to_the_higher_correlation_before_the_name() -> None:
    table = by_hand(size=[3.0] * N_ROWS, first=swapped(), b=swapped(), a=swapped((0, 3)), z=swapped((9, 10)))
    libra = published().fit(table, "acc", bias="size", proxies=["a", "b", "first", "z"])
    assert set(libra.explain()["bias_distance"]) == {0.0}  # a constant size biases nothing
    assert libra.selection == ("b", "first", "z")


def test_ranks_and_values_choose_another_third() -> None:
    """The size doubles with each row: its ranks see (0, 3) exchanged more than (9, 10), its values hardly at all."""
    size = [2.0**row for row in range(N_ROWS)]
    table = by_hand(size=size, a=swapped(), b=swapped(), low=swapped((0, 3)), high=swapped((9, 10)))
    by_kind = {
        kind: published(bias=kind).fit(table, "acc", "size", ["a", "b", "low", "high"]) for kind in ("rank", "raw")
    }
    assert by_kind["rank"].selection == ("a", "b", "high")
    assert by_kind["raw"].selection == ("a", "b", "low")
    assert by_kind["rank"].result.target_bias == pytest.approx(1, abs=ROUNDING)
    assert by_kind["raw"].result.target_bias == pytest.approx(pearson(swapped(), size), abs=ROUNDING)


def test_an_outlier_looks_like_no_gain_to_bins_of_equal_width_alone() -> None:
    table = noisy(0, 200).drop(columns=["snip", "flops", "jacov"])
    table["nwot"] = (table["nwot"] + table["acc"]) / 2  # the best
    table["broken"] = table["zen"].where(table["zen"] < table["zen"].max(), 1e12)
    rows = {
        binning: published(binning=binning).fit(table, "acc", proxies=["nwot", "zen", "broken"])
        for binning in ("equal_width", "ranks")
    }
    wide, ranked = (libra.explain()["information_gain"] for libra in rows.values())
    one_of_200 = (math.log2(200) + 199 * math.log2(200 / 199)) / 200
    assert 0 <= wide["broken"] <= one_of_200 < wide["zen"]
    assert rows["equal_width"].selection[1] == "broken"
    assert ranked["broken"] == ranked["zen"] > 10 * one_of_200


@pytest.mark.parametrize("binning", ["equal_width", "equal_count", "ranks"])
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_and_columns_does_not_matter(seed: int, binning: Binning) -> None:
    table = noisy(seed)
    shuffled = table.sample(frac=1, random_state=seed).sample(frac=1, axis=1, random_state=seed)
    assert shuffled.columns.tolist() != table.columns.tolist()
    for kind in ("rank", "raw"):
        first, again = (published(bias=kind, binning=binning).fit(t, "acc").result for t in (table, shuffled))
        assert again.selection == first.selection
        pd.testing.assert_frame_equal(again.proxies, first.proxies, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("seed", range(5))
def test_it_is_no_worse_than_its_best_member_on_published_proxies(seed: int) -> None:
    path = published_file("nasbench201", "nb201_proxies_suite_cifar10.csv.gz")
    table = read_table(path, key="index").sample(1_000, random_state=seed)
    libra = published().fit(table, "val_accuracy_suite")
    assert len(libra.selection) == 3
    best = libra.explain().loc[list(libra.selection), "rho"].max()
    combined = libra.predict(table).corr(table["val_accuracy_suite"], method="spearman")
    assert combined > best - 0.01  # of three proxies that agree a combination loses no more
