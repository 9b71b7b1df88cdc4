"""The selection by halves of a table: what is proposed and judged, and that it steadies Libra."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lswag_fast import Libra, rank_aggregate
from lswag_fast.errors import InputError, LswagWarning, TableError
from lswag_fast.libra.stability import Chosen, Rows, proposals


def test_halves_are_seeded_and_the_other_half_judges() -> None:
    seen: list[tuple[Rows, Rows]] = []

    def select(rows: Rows) -> Chosen:
        seen.append((rows, np.empty(0)))
        return ("a",)

    def rho(chosen: Chosen, rows: Rows) -> float:
        seen[len(judged)] = (seen[len(judged)][0], rows)
        judged.append(chosen)
        return 0.5

    judged: list[Chosen] = []
    found = proposals(select, rho, n_rows=7, n_halves=3, seed=1, also=[("a",)])
    assert judged == [("a",)] * 3
    assert found.to_dict("records") == [{"selection": ("a",), "n_proposed": 3, "rho_held_out": 0.5}]
    for half, rest in seen:
        assert (len(half), len(rest)) == (3, 4)
        assert sorted([*half, *rest]) == list(range(7))
    assert len({tuple(half) for half, _ in seen}) > 1


def test_the_best_on_the_other_halves_comes_first_also_when_proposed_once() -> None:
    answers = iter([("a", "b"), ("c",), ("a", "b")])
    values = {("a", "b"): 0.7, ("c",): 0.8, ("d",): 0.1}
    found = proposals(
        lambda rows: next(answers), lambda chosen, rows: values[chosen], n_rows=20, n_halves=3, seed=0, also=[("d",)]
    )
    assert found["selection"].tolist() == [("c",), ("a", "b"), ("d",)]
    assert found["n_proposed"].tolist() == [1, 2, 0]
    assert found["rho_held_out"].tolist() == pytest.approx([0.8, 0.7, 0.1], abs=1e-15)  # means of equal numbers


def test_equals_go_by_how_often_then_by_name() -> None:
    answers = iter([("c",), ("b",), ("b",), ("a",)])
    found = proposals(lambda rows: next(answers), lambda *_: 0.5, n_rows=20, n_halves=4, seed=0, also=[("d",)])
    assert found["selection"].tolist() == [("b",), ("a",), ("c",), ("d",)]


def misled(n_rows: int = 60) -> pd.DataFrame:
    """Two views of the accuracy whose noises differ, so that together they rank best; and copies of the first."""
    rng = np.random.default_rng(3)
    acc, noise = rng.normal(size=n_rows), rng.normal(size=n_rows)
    columns = {
        "nwot": acc + noise,
        "zen": acc + 1.001 * noise,
        "snip": acc + 0.999 * noise,
        "jacov": acc + rng.normal(size=n_rows),
        "params": rng.normal(size=n_rows),
    }
    return pd.DataFrame({"acc": acc, **columns}, index=[f"{row:03d}" for row in range(n_rows)])


NAMES = ["nwot", "zen", "snip", "jacov"]


def fitted(table: pd.DataFrame, **options: Any) -> Libra:
    return Libra(0.3, **options).fit(table, "acc", proxies=NAMES)


def test_a_selection_that_holds_on_the_other_halves_is_taken() -> None:
    libra = fitted(misled(), stability=12)
    found = libra.result.proposals
    assert found is not None
    assert libra.selection == found["selection"].iloc[0]
    assert found["n_proposed"].sum() == 12
    assert found["rho_held_out"].is_monotonic_decreasing
    assert fitted(misled()).selection in found["selection"].tolist()
    roles = libra.explain()["role"]
    assert tuple(roles[roles == role].index[0] for role in ("z1", "z2", "z3")) == libra.selection


def test_the_value_of_a_proposal_by_hand() -> None:
    """One half: its selection, and that of the whole table, ranked on the other half."""
    table = misled()
    order = np.random.default_rng(5).permutation(60)
    half, rest = table.iloc[sorted(order[:30])], table.iloc[sorted(order[30:])]
    expected = {}
    for source in (half, table):
        libra = fitted(source)
        expected[libra.selection] = libra.predict(rest).corr(rest["acc"], method="spearman")
    best = fitted(table).selection[0]
    expected[(best,)] = rest[best].corr(rest["acc"], method="spearman")
    found = fitted(table, stability=1, seed=5).result.proposals
    assert found is not None
    assert dict(zip(found["selection"], found["rho_held_out"], strict=True)) == pytest.approx(expected, abs=1e-11)


def test_the_best_proxy_stays_alone_where_others_only_add_noise() -> None:
    rng = np.random.default_rng(0)
    acc = rng.normal(size=80)
    noise = {name: 0.1 * acc + rng.normal(size=80) for name in ("snip", "zen", "jacov")}
    table = pd.DataFrame({"acc": acc, "nwot": acc + 0.05 * rng.normal(size=80), "params": rng.normal(size=80), **noise})
    names = ["nwot", "snip", "zen", "jacov"]
    assert len(Libra(1.5).fit(table, "acc", proxies=names).selection) == 3
    libra = Libra(1.5, stability=8).fit(table, "acc", proxies=names)
    assert libra.selection == ("nwot",)
    assert sorted(libra.explain()["role"]) == ["", "", "", "z1"]


def test_what_ranks_the_table_worse_than_its_best_member_is_not_taken() -> None:
    """One half, and on the other a lucky combination."""
    rng = np.random.default_rng(23)
    acc = rng.normal(size=40)
    noisy = {name: acc + 2 * rng.normal(size=40) for name in NAMES}
    table = pd.DataFrame(
        {"acc": acc, **noisy, "params": rng.normal(size=40)}, index=[f"{row:03d}" for row in range(40)]
    )
    with pytest.warns(LswagWarning, match="too few others: 1"):
        libra = fitted(table, stability=1)
    found, alone = libra.result.proposals, libra.explain()["rho"].max()
    assert found is not None
    assert found["selection"].iloc[0] == ("zen", "snip")
    assert found["rho"].iloc[0] < alone
    assert libra.selection == ("zen",)
    assert libra.result.rho == alone
    for chosen, rho in zip(found["selection"], found["rho"], strict=True):
        ranked = rank_aggregate(table[list(chosen)]).corr(table["acc"], method="spearman")
        assert rho == pytest.approx(ranked, abs=1e-11)  # kept to 12 decimals


def test_the_order_of_the_rows_does_not_matter_but_the_seed_may() -> None:
    table = misled()
    first, again = (fitted(t, stability=6).result for t in (table, table.sample(frac=1, random_state=1)))
    assert first.proposals is not None
    assert again.proposals is not None
    pd.testing.assert_frame_equal(again.proposals, first.proposals)
    other = fitted(table, stability=6, seed=1).result.proposals
    assert other is not None
    assert not other.equals(first.proposals)


def test_halves_do_not_repeat_the_warnings_of_the_table() -> None:
    table = misled().assign(params=1.0)
    with pytest.warns(LswagWarning) as caught:
        fitted(table, stability=5)
    assert len(caught) == 1


def test_what_is_saved_has_the_proposals_as_strict_json() -> None:
    content = fitted(misled(), stability=np.int64(4), seed=2).to_dict()
    assert (content["options"]["stability"], content["options"]["seed"]) == (4, 2)
    assert {"selection", "n_proposed", "rho_held_out", "rho"} == set(content["proposals"][0])
    assert content["proposals"][0]["selection"] == content["selection"]
    assert all(math.isfinite(row["rho_held_out"]) for row in content["proposals"])
    json.dumps(content, allow_nan=False)


@pytest.mark.parametrize("stability", [0, -1, True, 2.0, "3"])
def test_numbers_of_halves_that_are_refused(stability: Any) -> None:
    with pytest.raises(InputError, match=f"stability must be None or a number of halves .* got {stability!r}"):
        Libra(stability=stability)


def test_a_table_too_short_for_halves_is_refused() -> None:
    with pytest.raises(TableError, match="stability needs 20 finite rows to cut in halves, the table has 19"):
        Libra(1.0, stability=2).fit(misled(19), "acc", proxies=NAMES)
    Libra(1.0, stability=2).fit(misled(20), "acc", proxies=NAMES)
