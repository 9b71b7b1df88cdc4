"""What a selection is worth on halves that it was not fitted to."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from lswag_fast import Libra
from lswag_fast.errors import InputError, TableError
from lswag_fast.libra.held_out import Figure, HeldOut, held_out
from lswag_fast.libra.windows import ComparisonWindow

N = 120
RNG = np.random.default_rng(0)
Y = RNG.normal(size=N)
TABLE = pd.DataFrame(
    {
        "accuracy": Y,
        "params": np.repeat([1.0, 2.0, 3.0], N // 3) * (1 + 0.01 * RNG.random(N)),
        "nwot": Y + RNG.normal(size=N),
        "zico": Y + RNG.normal(size=N),
        "te_nas_ntk": -Y + 3 * RNG.normal(size=N),  # lower is better
        "snip": RNG.normal(size=N),
    },
    index=[f"a{row}" for row in range(N)],
)
PROXIES = ["nwot", "zico", "te_nas_ntk", "snip"]


def halves(table: pd.DataFrame, count: int, seed: int) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """The cuts as the docstring has them: of the rows in the order of their names."""
    ordered = table.iloc[np.argsort(table.index.astype(str), kind="stable")]
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        drawn = ordered.iloc[rng.permutation(len(ordered))]
        found.append((drawn.iloc[: len(drawn) // 2], drawn.iloc[len(drawn) // 2 :]))
    return found


def test_each_half_is_judged_by_what_was_selected_on_the_other() -> None:
    libra = Libra(rule="halves").fit(TABLE, "accuracy", proxies=PROXIES)
    found = held_out(libra, TABLE, "accuracy", proxies=PROXIES, n_halves=6, seed=3)
    together, fixed, best = [], [], []
    for here, rest in halves(TABLE, 6, seed=3):
        fitted = Libra(rule="halves").fit(here, "accuracy", proxies=PROXIES)
        ranks = np.log(rest[list(fitted.selection)].rank(pct=True)).sum(axis=1)  # none of them is te_nas_ntk
        together.append(spearmanr(ranks, rest["accuracy"]).statistic)
        members = np.log(rest[list(libra.selection)].rank(pct=True)).sum(axis=1)
        fixed.append(spearmanr(members, rest["accuracy"]).statistic)
        rhos = here[["nwot", "zico"]].corrwith(here["accuracy"], method="spearman")
        best.append(spearmanr(rest[rhos.idxmax()], rest["accuracy"]).statistic)
    assert found.selection.rho == pytest.approx(np.mean(together), abs=1e-4)  # four decimals are kept
    assert found.best_alone.rho == pytest.approx(np.mean(best), abs=1e-4)
    assert found.members is not None
    assert found.members.rho == pytest.approx(np.mean(fixed), abs=1e-4)
    assert [found.selection.low, found.selection.high] == pytest.approx(np.percentile(together, [2.5, 97.5]), abs=1e-4)
    assert set(found.alone) == {*libra.selection, "params"}
    assert (found.n_rows, found.n_halves, found.inside) == (N, 6, "")


def test_inside_windows_only_networks_of_one_size_are_compared() -> None:
    window = ComparisonWindow("params", 0.1)
    libra = Libra().fit(TABLE, "accuracy", proxies=PROXIES, window=window)
    found = held_out(libra, TABLE, "accuracy", proxies=PROXIES, window=window, n_halves=2, seed=1)
    nwot = []
    for _, rest in halves(TABLE, 2, seed=1):
        groups = [group for _, group in rest.groupby(rest["params"].round())]
        counts = [len(group) for group in groups]
        nwot.append(np.average([spearmanr(g["nwot"], g["accuracy"]).statistic for g in groups], weights=counts))
    assert found.alone["nwot"].rho == pytest.approx(np.mean(nwot), abs=1e-4)
    assert found.inside == "inside windows of params +-10 %"


def test_a_selection_that_is_given_stands_beside_the_rule() -> None:
    libra = Libra(rule="halves").fit(TABLE, "accuracy", proxies=PROXIES)
    own, given = (
        held_out(libra, TABLE, "accuracy", proxies=PROXIES, n_halves=3, members=members)
        for members in (None, {"snip": 1.0})
    )
    assert given.selection == own.selection
    assert given.members == given.alone["snip"]
    assert list(given.alone) == ["snip", "params"]


def test_the_order_of_the_rows_does_not_matter() -> None:
    shuffled = TABLE.sample(frac=1, random_state=0)
    one, other = (
        held_out(Libra().fit(t, "accuracy", proxies=PROXIES), t, "accuracy", proxies=PROXIES, n_halves=3)
        for t in (TABLE, shuffled)
    )
    assert one == other


def test_the_fit_to_the_whole_table_is_left_as_it_was() -> None:
    libra = Libra().fit(TABLE, "accuracy", proxies=PROXIES)
    before = libra.to_dict()
    held_out(libra, TABLE, "accuracy", proxies=PROXIES, n_halves=2)
    assert libra.to_dict() == before


def test_the_figures_are_stored_and_read_back() -> None:
    found = held_out(Libra().fit(TABLE, "accuracy", proxies=PROXIES), TABLE, "accuracy", proxies=PROXIES, n_halves=2)
    assert HeldOut.from_dict(json.loads(json.dumps(asdict(found)))) == found


@pytest.mark.parametrize(
    ("figure", "text"), [((0.643, 0.49, 0.7), ".64 [.49, .70]"), ((-0.1, -0.25, 1.0), "-.10 [-.25, 1.00]")]
)
def test_a_figure_in_words(figure: tuple[float, float, float], text: str) -> None:
    assert str(Figure(*figure)) == text


def test_a_table_too_small_for_halves_of_halves_is_refused() -> None:
    small = TABLE.iloc[:39]
    libra = Libra().fit(small, "accuracy", proxies=PROXIES)
    with pytest.raises(TableError, match="held-out halves need 40 finite rows, the table has 39"):
        held_out(libra, small, "accuracy", proxies=PROXIES)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n_halves": 0}, "n_halves must be an integer >= 1, got 0"),
        ({"n_halves": 1.5}, "n_halves must be an integer >= 1, got 1.5"),
        ({"seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"window": "params:8%"}, "window must be None or a ComparisonWindow"),
        ({"members": {}}, "members must say how much each proxy counts"),
        ({"members": ["nwot"]}, "members must say how much each proxy counts"),
        ({"members": {"magic": 1.0}}, "members: 'magic' is none of the proxies"),
        ({"members": {"nwot": 0.0}}, "rank weights must be a number other than 0 for each of nwot"),
        ({"members": {"nwot": -1.0}}, "nwot cannot count against without another proxy, its rank weight is -1.0"),
    ],
)
def test_arguments_that_are_refused(arguments: dict[str, Any], words: str) -> None:
    libra = Libra().fit(TABLE, "accuracy", proxies=PROXIES)
    with pytest.raises(InputError, match=words):
        held_out(libra, TABLE, "accuracy", proxies=PROXIES, **{"n_halves": 2, **arguments})


@pytest.mark.parametrize(
    ("libra", "words"),
    [
        (Libra, "held_out takes a fitted Libra, .* say, got <class"),
        ("libra.json", "held_out takes a fitted Libra, .* say, got 'libra.json'"),
        (None, "held_out takes a fitted Libra"),
        (Libra(), "fit first: nothing is selected yet"),
    ],
)
@pytest.mark.parametrize("members", [None, {"nwot": 1.0}])
def test_what_is_no_fitted_libra_is_refused(libra: Any, words: str, members: Any) -> None:
    with pytest.raises(InputError, match=words):
        held_out(libra, TABLE, "accuracy", proxies=PROXIES, n_halves=2, members=members)


@pytest.mark.parametrize("combine", ["mean_rank", "rank_sum", "product"])
def test_members_count_alike_where_nothing_weighs_them(combine: Any) -> None:
    libra = Libra(rule="halves", combine=combine).fit(TABLE, "accuracy", proxies=PROXIES)
    with pytest.raises(InputError, match=f"for combine='log_rank'; the Libra has combine='{combine}'"):
        held_out(libra, TABLE, "accuracy", proxies=PROXIES, n_halves=2, members={"nwot": 0.9, "snip": 0.1})
    found = held_out(libra, TABLE, "accuracy", proxies=PROXIES, n_halves=2, members={"nwot": 2, "zico": 2.0})
    assert found.members is not None


def test_a_half_that_is_refused_says_of_what_it_is_one() -> None:
    table = TABLE.assign(stage=np.arange(len(TABLE)) % (len(TABLE) // 20))
    window = ComparisonWindow("stage")
    libra = Libra().fit(table, "accuracy", proxies=PROXIES)
    with pytest.raises(TableError, match=f"take each half for a table, of {len(TABLE) // 2} rows: .* no group"):
        held_out(libra, table, "accuracy", proxies=PROXIES, window=window, n_halves=3)
