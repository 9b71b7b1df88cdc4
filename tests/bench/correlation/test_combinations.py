"""The pool and the combinations on tables whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bench.correlation.combinations import COMBINATIONS, pool, with_intervals
from lswag_fast import list_proxies

N = 40
ACCURACY = np.arange(N, dtype=float)


def table_of(**columns: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"acc": ACCURACY, **columns}, index=pd.Index([f"a{i}" for i in range(N)], name="arch"))


def test_the_pool_keeps_what_nearly_every_architecture_has():
    few, many = ACCURACY.copy(), ACCURACY.copy()
    few[:4], many[:5] = np.nan, np.inf  # 10 % and 12.5 %
    assert pool(table_of(lswag=few, zico=many, params=np.ones(N), other=ACCURACY)) == ["lswag"]


def test_combinations_name_proxies_that_have_a_value_of_one_network():
    known = {info.name for info in list_proxies() if not info.parts}
    assert {name for names in COMBINATIONS.values() for name in names} <= known


@pytest.mark.parametrize("name,sign", [("lswag", 1), ("te_nas_ntk", -1)])
def test_a_proxy_of_which_less_is_better_is_turned(name, sign):
    table = table_of(**{name: sign * ACCURACY})
    [row] = with_intervals(table, "acc", "no labels", {"alone": (name,)}, resamples=20, seed=0)
    assert row["spearman"] == pytest.approx(1)
    assert row["low"] == pytest.approx(1)


def test_two_proxies_that_are_wrong_about_different_networks_rank_better_together():
    low_turned = np.where(ACCURACY < N // 2, N // 2 - 1 - ACCURACY, ACCURACY)
    table = table_of(lswag=low_turned, params=-low_turned[::-1])  # the other has its high half turned
    members = {"lswag": ("lswag",), "params": ("params",), "both": ("lswag", "params")}
    rows = with_intervals(table, "acc", "no labels", members, resamples=20, seed=0)
    found = {row["way"]: row["spearman"] for row in rows}
    assert found["both"] > max(found["lswag"], found["params"])
