"""What Libra takes, leaves out and refuses, its combination by hand, and its account of the choice."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lswag_fast import Libra, list_proxies
from lswag_fast.errors import InputError, LswagWarning, TableError
from lswag_fast.libra.ranks import Aggregate
from lswag_fast.libra.selection import Rule
from lswag_fast.libra.windows import ComparisonWindow
from support.libra_oracle import N_ROWS, by_hand, swapped

pytestmark = pytest.mark.filterwarnings("ignore:LIBRA. the bias 'params' is 1 in every row")  # of `small`

published = partial(Libra, rule="published")
ROUNDING = 1e-11  # the library rounds to 12 decimals what it compares


def small() -> pd.DataFrame:
    """Selects (nwot, zen, snip) by correlation alone: without a doubt about the target nothing gains, nor biases."""
    return by_hand(params=[1.0] * N_ROWS, zen=swapped((1, 2)), nwot=swapped(), snip=swapped((1, 2), (4, 5)))


def fitted(**options: Any) -> Libra:
    return published(**options).fit(small(), "acc", proxies=["zen", "nwot", "snip"])


def test_fit_returns_itself_and_leaves_the_table_as_it_was() -> None:
    table, libra = small(), published()
    assert libra.fit(table, "acc", proxies=["zen", "nwot", "snip"]) is libra
    assert libra.selection == ("nwot", "zen", "snip")
    pd.testing.assert_frame_equal(table, small(), check_exact=True)


def test_a_second_fit_replaces_the_first() -> None:
    libra = fitted()
    libra.fit(small().assign(swap=swapped()), "acc", bias="zen", proxies=["swap", "zen", "snip"])
    assert libra.selection == ("swap", "zen", "snip")
    assert libra.result.bias == "zen"


def test_the_columns_named_like_proxies_are_the_default() -> None:
    table = small().assign(swap=swapped((3, 4)), mine=swapped(), note=["text"] * N_ROWS)
    known = {info.name for info in list_proxies()}
    found = published().fit(table, "acc").explain()
    assert set(found.index) == {"params", "zen", "nwot", "snip", "swap"} == known & set(table.columns)


def test_a_target_named_like_a_proxy_is_no_candidate() -> None:
    table = small().rename(columns={"acc": "zico"})
    assert set(published().fit(table, "zico").explain().index) == {"params", "zen", "nwot", "snip"}


def test_unregistered_proxies_are_taken_by_name_once() -> None:
    table = small().assign(mine=swapped((9, 10)))
    found = published().fit(table, "acc", proxies=["mine", "nwot", "mine", "zen"]).explain()
    assert sorted(found.index) == ["mine", "nwot", "zen"]


def test_the_bias_may_be_a_proxy_itself() -> None:
    table = small().assign(params=swapped((0, 1)))
    fit = published().fit(table, "acc").result
    assert fit.proxies.loc["params", "bias"] == pytest.approx(1, abs=ROUNDING)
    assert "params" in fit.selection


@pytest.mark.parametrize("values", [[math.nan] * 2, [math.inf, -math.inf]])
def test_rows_that_are_not_finite_are_dropped_and_counted(values: list[float]) -> None:
    clean = big()
    dirty = pd.concat([clean, clean.tail(2).rename("{}x".format)])
    dirty.loc[dirty.index[-2:], "zen"] = values
    found, expected = (published().fit(table, "acc").result for table in (dirty, clean))
    assert (found.n_rows, found.n_dropped) == (len(clean), 2)
    assert (expected.n_rows, expected.n_dropped) == (len(clean), 0)
    pd.testing.assert_frame_equal(found.proxies, expected.proxies, check_exact=True)


def test_a_gap_in_a_column_that_is_not_used_costs_no_row() -> None:
    table = big().assign(swap=math.nan)
    assert published().fit(table, "acc", proxies=["nwot", "zen", "snip"]).result.n_dropped == 0
    with pytest.raises(TableError, match=r"0 of 40 rows are finite, at least 10 are needed; 'swap' .* in 40"):
        published().fit(table, "acc")


def big(n_rows: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    acc = rng.normal(size=n_rows)
    columns = {name: acc + 0.2 * rng.normal(size=n_rows) for name in ("params", "nwot", "zen", "snip")}
    return pd.DataFrame({"acc": acc, **columns}, index=[f"{row:03d}" for row in range(n_rows)])


def test_a_proxy_of_which_less_is_better_is_negated_in_fit_and_predict() -> None:
    table = big().rename(columns={"nwot": "te_nas_ntk"})
    flipped = table.assign(te_nas_ntk=-table["te_nas_ntk"])
    names = ["te_nas_ntk", "zen", "snip"]
    plain = published().fit(table.rename(columns={"te_nas_ntk": "mine"}), "acc", proxies=["mine", "zen", "snip"])
    libra = published().fit(flipped, "acc", proxies=names)
    assert libra.explain()["rho"]["te_nas_ntk"] == plain.explain()["rho"]["mine"] > 0.9  # near enough to be chosen
    assert set(libra.selection) == set(names)
    expected = plain.predict(table.rename(columns={"te_nas_ntk": "mine"}))
    pd.testing.assert_series_equal(libra.predict(flipped), expected, check_exact=True)


ANEW = pd.DataFrame(
    {
        "snip": [5.0, 1.0, 9.0, 5.0],
        "nwot": [0.0, 10.0, 20.0, 40.0],
        "zen": [-1.0, -1.0, 7.0, 3.0],
        "other": list("abcd"),
    },
    index=["w", "x", "y", "z"],
)
# Ranks of nwot 1 2 3 4, of zen 1.5 1.5 4 3, of snip 2.5 1 4 2.5.
BY_HAND: dict[Aggregate, list[float]] = {
    "log_rank": [math.log(product / 64) for product in (1 * 1.5 * 2.5, 2 * 1.5 * 1, 3 * 4 * 4, 4 * 3 * 2.5)],
    "mean_rank": [5 / 12, 4.5 / 12, 11 / 12, 9.5 / 12],
    "rank_sum": [5, 4.5, 11, 9.5],
    "product": [0, 0, 0.5 * 1 * 1, 1 * 0.5 * 0.5],
}


@pytest.mark.parametrize("combine", BY_HAND)
def test_predict_by_hand(combine: Aggregate) -> None:
    found = fitted(combine=combine).predict(ANEW)
    assert found.index.tolist() == ["w", "x", "y", "z"]
    assert found.tolist() == pytest.approx(BY_HAND[combine], rel=1e-14)  # some roundings


@pytest.mark.parametrize("combine", BY_HAND)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_architecture_that_is_not_finite_has_nan_and_takes_no_part(combine: Aggregate, value: float) -> None:
    libra = fitted(combine=combine)
    more = pd.concat([pd.DataFrame({"snip": 1.0, "nwot": 2.0, "zen": value, "other": "e"}, index=["v"]), ANEW])
    found = libra.predict(more)
    assert math.isnan(found["v"])
    pd.testing.assert_series_equal(found.drop("v"), libra.predict(ANEW), check_exact=True)


@pytest.mark.parametrize("combine", ["log_rank", "mean_rank", "rank_sum", "product"])
def test_the_fit_says_how_its_combination_ranks_the_table(combine: Aggregate) -> None:
    table = with_a_constant()
    libra = published(0.15, combine=combine).fit(table, "acc")
    ranked = libra.predict(table).corr(table["acc"], method="spearman")
    assert libra.result.rho == pytest.approx(ranked, abs=1e-11)  # kept to 12 decimals


def test_a_combination_that_is_the_same_for_all_ranks_nothing(tmp_path: Path) -> None:
    high, low = [0, 0, 0, 0, 0, 0, 1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 0, 0, 0, 0]
    table = pd.DataFrame({"acc": range(10), "snip": high, "zen": low, "params": range(10)})
    libra = published(1.99, combine="product")
    with pytest.warns(LswagWarning, match="too few others"):
        libra.fit(table, "acc", proxies=["snip", "zen"])
    assert libra.predict(table).tolist() == [0.0] * 10
    assert libra.result.rho == 0
    libra.save(tmp_path / "libra.json")


def test_predict_needs_only_the_selected_columns() -> None:
    libra = fitted()
    with pytest.raises(TableError, match="no column 'zen'; there are snip, nwot, other"):
        libra.predict(ANEW.drop(columns="zen"))
    with pytest.raises(TableError, match="column 'nwot' of 'y': found 'high', expected a number"):
        libra.predict(ANEW.assign(nwot=["1", "2", "high", "4"]))


def test_what_explain_gives_is_the_caller_s_own() -> None:
    libra = fitted()
    found = libra.explain()
    found.loc["nwot", "role"] = "spoilt"
    assert libra.explain()["role"].tolist() == ["z1", "z2", "z3"]


def refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is not JSON")


def test_what_is_saved_is_strict_json_of_every_number(tmp_path: Path) -> None:
    libra = published(0.15, bias="raw", combine="product").fit(with_a_constant(), "acc")
    libra.save(tmp_path / "libra.json")
    text = (tmp_path / "libra.json").read_text(encoding="utf-8")
    assert text.endswith("}\n")
    found = json.loads(text, parse_constant=refuse)
    assert found == libra.to_dict()
    assert (found["schema_version"], found["combine"], found["weights"]) == (2, "product", None)
    assert found["selection"] == list(libra.selection)
    options = {"tolerance": 0.15, "bias": "raw", "logarithm": "natural", "binning": "equal_width"}
    assert found["options"] == {**options, "rule": "published", "halves": 20, "seed": 0}
    assert found["steps"] is None
    fit = libra.result
    assert found["fitted_on"] == {
        "target": "acc",
        "bias": "params",
        "n_rows": 40,
        "n_dropped": 0,
        "n_bins": 13,  # 1 + 3.322 ln 40 = 13.25
        "rho": fit.rho,
        "target_bias": fit.target_bias,
        "tolerance": 0.15,
        "window": None,
    }


def test_what_is_saved_has_null_for_what_was_not_computed() -> None:
    rows = {row["proxy"]: row for row in published().fit(with_a_constant(), "acc").to_dict()["proxies"]}
    assert rows["epe_nas"] == {
        "proxy": "epe_nas",
        "rho": None,
        "in_tolerance": False,
        "information_gain": None,
        "bias": None,
        "bias_distance": None,
        "role": "",
        "note": "constant, 2.5",
    }
    assert sorted(row["role"] for row in rows.values()) == ["", "", "z1", "z2", "z3"]
    best = next(row for row in rows.values() if row["role"] == "z1")
    assert best["information_gain"] is None
    assert best["rho"] == max(row["rho"] for row in rows.values() if row["rho"] is not None)


def with_a_constant() -> pd.DataFrame:
    table = big()
    table.insert(1, "epe_nas", 2.5)
    return table


@pytest.mark.parametrize("name", ["te_nas_ntk", "epe_nas"])
def test_the_value_of_a_constant_is_the_table_s_own(name: str) -> None:
    """Also of a proxy for which lower is better, which is negated inside."""
    found = published().fit(big().assign(**{name: 2.5}), "acc").explain()
    assert found.loc[name, "note"] == "constant, 2.5"


def test_a_constant_bias_is_said_aloud() -> None:
    with pytest.warns(LswagWarning, match="the bias 'size' is 3 in every row, so that no proxy leans to it"):
        published().fit(big().assign(size=3.0), "acc", bias="size")


def test_the_rule_of_halves_chooses_by_no_bias_and_says_nothing_of_it() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Libra(rule="halves", halves=2).fit(big().assign(size=3.0), "acc", bias="size")


@pytest.mark.parametrize("tolerance", [np.float32(0.125), np.float64(0.125), 1, np.int64(1)])
def test_numbers_of_numpy_are_numbers(tolerance: Any) -> None:
    libra = published(tolerance).fit(big(), "acc")
    assert libra.result.tolerance == tolerance
    json.dumps(libra.to_dict())


def test_a_constant_proxy_comes_last_and_is_never_chosen() -> None:
    found = published().fit(with_a_constant(), "acc").explain()
    assert found.index[-1] == "epe_nas"
    pd.testing.assert_frame_equal(found.drop("epe_nas"), published().fit(big(), "acc").explain(), check_exact=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        *[
            ({"tolerance": t}, rf"tolerance must lie in \(0, 2\), got {t!r}")
            for t in (0, -0.1, 2, math.nan, True, "0.1")
        ],
        ({"bias": "pearson"}, "bias must be one of rank, raw, got 'pearson'"),
        ({"logarithm": "base2"}, "logarithm must be one of natural, base10, got 'base2'"),
        ({"binning": "quantile"}, "binning must be one of equal_width, equal_count, ranks, got 'quantile'"),
        ({"rule": "held out"}, "rule must be one of weights, halves, published, got 'held out'"),
        *[
            ({"halves": n}, rf"halves must be a number from 2 to 10,000, got {n!r}")
            for n in (1, True, 2.5, None, 10**12)
        ],
        *[({"seed": seed}, rf"seed must be an integer >= 0, got {seed!r}") for seed in (-1, True, 1.5, None)],
        ({"rule": "weights", "combine": "product"}, "got combine='product'; take rule=\"halves\""),
        ({"combine": None}, "combine must be one of log_rank, mean_rank, rank_sum, product, got None"),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Libra(**options)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"proxies": ["nwot", "acc"]}, InputError, "the target 'acc' is among the proxies; leave it out"),
        ({"target": "top1"}, TableError, "no column 'top1'; there are acc, params"),
        ({"bias": "size"}, TableError, "no column 'size'"),
        ({"proxies": ["nwot", "zico"]}, TableError, "no column 'zico'"),
        ({"proxies": ["nwot"]}, InputError, "LIBRA chooses among proxies that vary, and found 1"),
        ({"proxies": []}, InputError, "no proxy to choose from; give the names of columns in proxies"),
        ({"proxies": "nwot"}, InputError, "proxies must be a list of names, got 'nwot'"),
        ({"proxies": ["nwot", 1]}, InputError, "proxies must be a list of names, got a list of int"),
        ({"target": ["acc"]}, TableError, r"a column has one name, got \['acc'\]"),
        ({"bias": ["params"]}, TableError, r"a column has one name, got \['params'\]"),
        ({"table": {"acc": [1.0]}}, TableError, "a table is a pandas DataFrame, .* found a dict"),
        ({"window": "params:8%"}, InputError, "window must be None or a ComparisonWindow, .* got 'params:8%'"),
        ({"proxies": ["nwot", "flat"]}, InputError, "LIBRA chooses among proxies that vary, and found 1"),
        ({"target": "flat"}, TableError, "the target 'flat' is 3.0 in every row"),
        ({"bias": "text"}, TableError, "column 'text' of '000': found 'a', expected a number"),
    ],
)
def test_fits_that_are_refused(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    table = big().assign(flat=3.0, text="a")
    with pytest.raises(error, match=words):
        published().fit(**{"table": table, "target": "acc", **arguments})


def test_a_table_without_a_registered_proxy_is_refused() -> None:
    with pytest.raises(InputError, match="no proxy to choose from; give the names of columns in proxies"):
        published().fit(big()[["acc"]].assign(mine=range(40)), "acc", bias="mine")


@pytest.mark.parametrize("rule", ["halves", "weights", "published"])
def test_an_architecture_that_is_named_twice_is_refused(rule: Rule) -> None:
    table = big()
    twice = table.rename(index={table.index[3]: table.index[1]})
    with pytest.raises(TableError, match="row 4 names '001' again"):
        Libra(rule=rule).fit(twice, "acc", window=ComparisonWindow("params", 0.5))


def test_a_short_table_is_refused() -> None:
    with pytest.raises(TableError, match="9 of 9 rows are finite, at least 10 are needed"):
        published().fit(big(9), "acc")
    assert published().fit(big(10), "acc").result.n_rows == 10


@pytest.mark.parametrize(
    "ask",
    [
        lambda libra: libra.result,
        lambda libra: libra.selection,
        lambda libra: libra.explain(),
        lambda libra: libra.predict(big()),
        lambda libra: libra.to_dict(),
    ],
    ids=["result", "selection", "explain", "predict", "to_dict"],
)
def test_nothing_is_known_before_a_fit(ask: Callable[[Libra], Any]) -> None:
    with pytest.raises(InputError, match="fit first: nothing is selected yet"):
        ask(published())


def test_a_fit_that_is_refused_keeps_the_one_before() -> None:
    libra = fitted()
    with pytest.raises(TableError):
        libra.fit(small(), "top1")
    assert libra.selection == ("nwot", "zen", "snip")
