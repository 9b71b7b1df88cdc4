"""Ranks among networks and aggregates of columns: by hand, ties, directions, what does not count, refusals."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from lswag_fast import Score, list_proxies, rank_aggregate, rank_networks, score_many
from lswag_fast.errors import InputError, TableError
from lswag_fast.libra.ranking import oriented
from lswag_fast.libra.ranks import Aggregate
from networks import NETWORKS

ONE = Score(0.0, "", (), (), 4, 0, 0.0, "cpu", "baseline", 0)


def scored(**values: float) -> dict[str, Score]:
    return {name: replace(ONE, value=value, proxy=name) for name, value in values.items()}


def te_nas(*pairs: tuple[float, float]) -> list[float]:
    return rank_networks([scored(te_nas_ntk=ntk, te_nas_regions=regions) for ntk, regions in pairs], "te_nas")


def az_nas_vit(*triples: tuple[float, float, float]) -> list[float]:
    names = ("az_nas_expressivity", "az_nas_trainability", "flops")
    return rank_networks([scored(**dict(zip(names, triple, strict=True))) for triple in triples], "az_nas_vit")


def test_te_nas_adds_ranks_and_a_small_condition_number_is_good() -> None:
    assert te_nas((10.0, 5.0), (1.0, 9.0), (100.0, 7.0)) == [2 + 1, 3 + 3, 1 + 2]


def test_ties_share_their_mean_rank() -> None:
    assert te_nas((1.0, 4.0), (1.0, 4.0), (2.0, 3.0)) == [2.5 + 2.5, 2.5 + 2.5, 1 + 1]


def test_az_nas_adds_logarithms_of_rank_over_number() -> None:
    found = az_nas_vit((3.0, -1.0, 7.0), (4.0, -2.0, 8.0))
    assert found == pytest.approx([2 * math.log(1 / 2) + 0.0, math.log(1 / 2)], rel=1e-15)


def test_the_order_of_the_networks_does_not_matter() -> None:
    triples = [(1.0, 5.0, 2.0), (2.0, 4.0, 1.0), (3.0, 6.0, 3.0)]
    assert az_nas_vit(*triples[::-1]) == az_nas_vit(*triples)[::-1]


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_network_that_is_not_finite_does_not_count(broken: float) -> None:
    found = te_nas((10.0, 5.0), (broken, 9.0), (100.0, 7.0))
    assert math.isnan(found[1])
    assert [found[0], found[2]] == te_nas((10.0, 5.0), (100.0, 7.0))
    assert all(map(math.isnan, te_nas((broken, 1.0))))


def test_real_scores() -> None:
    names = [info.name for info in list_proxies() if info.parts]
    model, batch = NETWORKS["vit"].build()
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.blocks[0].fc1.weight *= 3.0
    scores = [score_many(m, batch, proxies=names, features="blocks.*") for m in (model, other)]
    for name in names:
        found = rank_networks(scores, name)
        assert all(map(math.isfinite, found)), name
        assert found[::-1] == rank_networks(scores[::-1], name)


def test_refusals() -> None:
    with pytest.raises(InputError, match="snip is a number of one network by itself"):
        rank_networks([scored(snip=1.0)], "snip")
    for bad in ([], 3, [3]):
        with pytest.raises(InputError, match="scores must be a list of what score_many returned"):
            rank_networks(bad, "te_nas")
    with pytest.raises(InputError, match=r"there is no proxy \['te_nas'\]"):
        rank_networks([scored(te_nas_ntk=1.0)], ["te_nas"])
    with pytest.raises(InputError, match=r"te_nas needs te_nas_regions, which network 1 lacks; score_many"):
        rank_networks([scored(te_nas_ntk=1.0, te_nas_regions=2.0), scored(te_nas_ntk=1.0)], "te_nas")
    with pytest.raises(InputError, match="did you mean 'te_nas'"):
        rank_networks([scored(te_nas_ntk=1.0)], "te_na")


@pytest.mark.parametrize(("table", "found"), [([1.0], "list"), (None, "NoneType"), ({"a": [1.0]}, "dict")])
def test_what_is_no_table_is_refused(table: object, found: str) -> None:
    with pytest.raises(TableError, match=f"a table is a pandas DataFrame, .* found a {found}"):
        rank_aggregate(table)


@pytest.mark.parametrize(
    "weights",
    [
        *(3, "1", ["1"], [0.0], [1.0, 1.0], [True], {1}, {1: 2}, [1j], [10**400], [math.nan], [-math.inf]),
        *([np.ones(1)], np.ones((1, 1)), np.array(1.0), pd.Series({"a": 1.0})),
    ],
)
def test_weights_that_are_no_numbers_of_the_columns_are_refused(weights: object) -> None:
    with pytest.raises(InputError, match="rank weights must be a number other than 0 for each of a, got"):
        rank_aggregate(pd.DataFrame({"a": [1.0, 2.0]}), weights=weights)


def test_refused_weights_are_shown_in_one_line() -> None:
    with pytest.raises(InputError, match="for each of a, b, got a 1") as error:
        rank_aggregate(pd.DataFrame({"a": [1.0], "b": [2.0]}), weights=pd.Series({"a": 1, "b": 2}))  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=r"its rank weight is -1\.0$"):
        rank_aggregate(pd.DataFrame({"a": [1.0, 2.0]}), weights=np.array([-1.0]))  # type: ignore[arg-type]


def test_weights_may_be_an_array() -> None:
    table = pd.DataFrame({"a": [1.0, 2.0]})
    assert rank_aggregate(table, weights=np.array([2], dtype=np.float32)).tolist() == [2 * math.log(1 / 2), 0.0]


TABLE = pd.DataFrame({"a": [10.0, 30.0, 20.0, 50.0], "b": [2.0, -1.0, 2.0, 0.0]}, index=["w", "x", "y", "z"])
# Ranks of a 1 3 2 4, of b 3.5 1 3.5 2; a scaled 0 1/2 1/4 1, b scaled 1 0 1 1/3.
BY_HAND: dict[Aggregate, list[float]] = {
    "log_rank": [math.log(product / 16) for product in (1 * 3.5, 3 * 1, 2 * 3.5, 4 * 2)],
    "mean_rank": [4.5 / 8, 4 / 8, 5.5 / 8, 6 / 8],
    "rank_sum": [4.5, 4, 5.5, 6],
    "product": [0, 0, 1 / 4, 1 / 3],
}


@pytest.mark.parametrize("how", BY_HAND)
def test_aggregates_by_hand_with_ties(how: Aggregate) -> None:
    found = rank_aggregate(TABLE, how)
    assert found.index.equals(TABLE.index)
    assert found.tolist() == pytest.approx(BY_HAND[how], rel=1e-14)  # some roundings


def test_logarithms_of_ranks_are_the_default() -> None:
    assert rank_aggregate(TABLE).equals(rank_aggregate(TABLE, "log_rank"))


@pytest.mark.parametrize("how", BY_HAND)
@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_row_that_is_not_finite_has_nan_and_takes_no_part(how: Aggregate, broken: float) -> None:
    more = pd.concat([TABLE, pd.DataFrame({"a": [40.0], "b": [broken]}, index=["v"])])
    found = rank_aggregate(more, how)
    assert math.isnan(found["v"])
    pd.testing.assert_series_equal(found.drop("v"), rank_aggregate(TABLE, how), check_exact=True)
    assert rank_aggregate(more.loc[["v"]], how).isna().all()
    assert not len(rank_aggregate(TABLE.iloc[:0], how))


@pytest.mark.parametrize("how", BY_HAND)
def test_a_constant_column_changes_no_order(how: Aggregate) -> None:
    alone = rank_aggregate(TABLE[["a"]], how)
    beside = rank_aggregate(TABLE[["a"]].assign(flat=7.0), how)
    assert beside.sort_values().index.equals(alone.sort_values().index)
    if how == "product":
        pd.testing.assert_series_equal(beside, alone, check_exact=True)


def test_a_product_of_constants_is_one() -> None:
    assert rank_aggregate(pd.DataFrame({"a": [3.0, 3.0], "b": [0.0, 0.0]}), "product").tolist() == [1, 1]


@pytest.mark.parametrize("how", ["log_rank", "mean_rank", "rank_sum"])
def test_ranks_see_no_monotone_transform_but_the_product_does(how: Aggregate) -> None:
    changed = TABLE.assign(a=np.exp(TABLE["a"]))
    assert rank_aggregate(changed, how).equals(rank_aggregate(TABLE, how))
    assert not rank_aggregate(changed, "product").equals(rank_aggregate(TABLE, "product"))


@pytest.mark.parametrize("how", BY_HAND)
def test_the_order_of_rows_is_that_of_the_table(how: Aggregate) -> None:
    assert rank_aggregate(TABLE.iloc[::-1], how).iloc[::-1].equals(rank_aggregate(TABLE, how))


def test_refused_aggregates() -> None:
    with pytest.raises(InputError, match="how must be one of log_rank, mean_rank, rank_sum, product, got 'median'"):
        rank_aggregate(TABLE, "median")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="a table without columns has nothing to rank by"):
        rank_aggregate(TABLE[[]])


def test_text_is_refused_with_its_place() -> None:
    table = TABLE.assign(name=list("abcdefgh")[: len(TABLE)])
    with pytest.raises(TableError, match=f"column 'name' of {TABLE.index[0]!r}: found 'a', expected a number"):
        rank_aggregate(table)


def test_oriented_turns_only_what_is_better_when_less() -> None:
    table = pd.DataFrame({"te_nas_ntk": [1.0, 2.0], "nwot": [3.0, 4.0], "mine": [5.0, 6.0]}, index=["a", "b"])
    found = oriented(table, ["mine", "te_nas_ntk"])
    pd.testing.assert_frame_equal(
        found, pd.DataFrame({"mine": [5.0, 6.0], "te_nas_ntk": [-1.0, -2.0]}, index=["a", "b"])
    )
    assert table["te_nas_ntk"].tolist() == [1, 2]
