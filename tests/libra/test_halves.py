"""The rule "halves": who joins and who does not, by hand and with windows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lswag_fast import Libra
from lswag_fast.errors import InputError, TableError
from lswag_fast.libra.halves import cuts, join_by_gain, random_halves
from lswag_fast.libra.judge import Candidates, Judge
from lswag_fast.libra.windows import ComparisonWindow

N = 200


def table_of(**columns: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(columns, index=[f"a{row:03d}" for row in range(len(columns["accuracy"]))])


def views(seed: int = 0, n: int = N) -> pd.DataFrame:
    """Two proxies of independent noise, a copy of the first, and one that tells nothing."""
    rng = np.random.default_rng(seed)
    accuracy, one, other = rng.normal(size=(3, n))
    return table_of(
        accuracy=accuracy,
        params=rng.normal(size=n),
        nwot=accuracy + one,
        snip=np.exp(accuracy + one),
        zico=accuracy + other,
        fisher=accuracy + rng.normal(size=n) * 9,
    )


def candidates(table: pd.DataFrame, names: list[str], window: ComparisonWindow | None = None) -> Candidates:
    sizes = None if window is None else window.sizes(table)
    return Candidates(table[names], table["accuracy"], table["params"], sizes, window)


class Given:
    """A judge whose answers are written down."""

    def __init__(self, **rho: float) -> None:
        self.answers = {tuple(name.split("_")): value for name, value in rho.items()}

    def rho(self, names: list[str]) -> float:
        return self.answers[tuple(names)]


def test_a_gain_has_to_be_above_its_standard_error() -> None:
    judges = [Given(a=0.5, a_b=0.6, a_c=0.5), Given(a=0.5, a_b=0.7, a_c=0.9)]
    # The gains of b are .1 and .2: mean .15, standard deviation .071. Those of c 0 and .4: mean .2, .283.
    members, steps = join_by_gain("a", ["b", "c"], judges)  # type: ignore[arg-type]
    assert members == ["a"]  # c gains more in the mean, and its gain is chance
    assert steps["joined"].tolist() == [True, False, False]
    assert steps["gain"].tolist()[1:] == pytest.approx([0.15, 0.2])
    assert steps["standard_error"].tolist()[1:] == pytest.approx([0.005**0.5, 0.08**0.5])
    assert join_by_gain("a", ["b"], [Given(a=0.5, a_b=0.6), Given(a=0.5, a_b=0.7)])[0] == ["a", "b"]  # type: ignore[arg-type,list-item]


def test_the_steps_go_on_from_who_has_joined() -> None:
    one = Given(a=0.5, a_b=0.6, a_c=0.7, a_c_b=0.9)
    members, steps = join_by_gain("a", ["b", "c"], [one, one])  # type: ignore[arg-type,list-item]
    assert members == ["a", "c", "b"]
    assert list(zip(steps["step"], steps["proxy"], steps["joined"], strict=True)) == [
        (1, "a", True),
        (2, "b", False),
        (2, "c", True),
        (3, "b", True),
    ]
    assert steps["rho_halves"].tolist() == [0.5, 0.6, 0.7, 0.9]


def test_no_more_than_three_join_and_equals_go_by_name() -> None:
    class Growing:
        def rho(self, names: list[str]) -> float:
            return len(names) / 10

    judges = [Growing(), Growing()]
    assert join_by_gain("z", ["d", "c", "b"], judges)[0] == ["z", "b", "c"]  # type: ignore[arg-type]


def test_another_view_joins_and_a_copy_does_not() -> None:
    libra = Libra(rule="halves").fit(views(), "accuracy", proxies=["nwot", "snip", "zico", "fisher"])
    assert sorted(libra.selection, key="zico".__eq__)[-1] == "zico"
    assert len(libra.selection) == 2
    assert libra.explain()["role"].to_dict()["fisher"] == ""
    assert libra.result.rho > libra.explain()["rho"].max() + 0.05


def test_one_proxy_alone_is_an_answer() -> None:
    libra = Libra(rule="halves").fit(views(), "accuracy", proxies=["nwot", "snip", "fisher"])
    assert len(libra.selection) == 1
    assert libra.result.rho == libra.explain()["rho"].max()
    pd.testing.assert_series_equal(libra.predict(views()).rank(), views()[libra.selection[0]].rank(), check_names=False)


def test_halves_are_seeded_and_see_no_order_of_rows() -> None:
    table = views()
    shuffled = table.sample(frac=1, random_state=1)
    names = ["nwot", "zico"]
    halves = [
        [judge.rho(names) for judge in random_halves(candidates(rows, names), 5, seed, "log_rank")]
        for rows, seed in ((table, 0), (shuffled, 0), (table, 1))
    ]
    assert halves[0] == halves[1] != halves[2]
    assert len(set(halves[0])) == 5


def test_a_half_is_half_of_the_rows() -> None:
    table = candidates(views(), ["nwot"])
    seen = {judge.rho(["nwot"]) for judge in random_halves(table, 3, 0, "log_rank")}
    rng = np.random.default_rng(0)
    expected = {Judge(table, np.sort(rng.permutation(N)[: N // 2]), "log_rank").rho(["nwot"]) for _ in range(3)}
    assert seen == expected  # the index is sorted already


def test_the_standard_deviation_over_halves_is_the_standard_error_of_the_whole() -> None:
    """Over many tables of one kind: halves without replacement of n are as far from it as it is from the truth."""
    differences, deviations = [], []
    for seed in range(60):
        judges = random_halves(candidates(views(seed), ["nwot", "zico"]), 20, 0, "log_rank")
        gains = [judge.rho(["nwot", "zico"]) - judge.rho(["nwot"]) for judge in judges]
        whole = Judge(candidates(views(seed), ["nwot", "zico"]), None, "log_rank")
        differences.append(whole.rho(["nwot", "zico"]) - whole.rho(["nwot"]))
        deviations.append(np.std(gains, ddof=1))
    # A standard deviation of 60 numbers is known to about 1 / sqrt(2 * 59) = 9 %; three times that.
    assert np.mean(deviations) == pytest.approx(np.std(differences, ddof=1), rel=0.28)


def test_inside_windows_another_proxy_is_the_best() -> None:
    rng = np.random.default_rng(0)
    params, quality = rng.uniform(5, 9, size=N), rng.normal(size=N)
    table = table_of(accuracy=params + 0.2 * quality, params=params, nwot=quality, zico=quality + rng.normal(size=N))
    over_all = Libra(rule="halves").fit(table, "accuracy", proxies=["params", "nwot", "zico"])
    inside = Libra(rule="halves").fit(
        table, "accuracy", proxies=["params", "nwot", "zico"], window=ComparisonWindow("params", 0.02)
    )
    assert (over_all.selection[0], inside.selection[0]) == ("params", "nwot")
    assert inside.explain()["rho"]["params"] < 0.5 < inside.explain()["rho"]["nwot"]
    assert inside.to_dict()["fitted_on"]["window"] == {"column": "params", "share": 0.02}


@pytest.mark.parametrize(
    ("table", "window", "words"),
    [
        (views(n=19), None, "the rule needs 20 finite rows to cut in halves, the table has 19"),
        (views(n=30).assign(params=range(1, 31)), ComparisonWindow("params", 0.2), "no window"),
        (
            views(n=30).assign(params=np.repeat([1.0, 2.0], 15)),
            ComparisonWindow("params"),
            r"halves of the table's 30 rows no group of one params holds 10: the largest has 15 .* column .* 48 rows",
        ),
    ],
)
def test_a_table_that_is_too_small_is_refused(table: pd.DataFrame, window: ComparisonWindow | None, words: str) -> None:
    with pytest.raises(TableError, match=words):
        Libra().fit(table, "accuracy", proxies=["nwot", "zico"], window=window)


def test_the_rows_that_a_narrow_window_asks_for_are_enough() -> None:
    table = views(n=48).assign(params=np.repeat([1.0, 2.0], 24))
    assert Libra().fit(table, "accuracy", proxies=["nwot", "zico"], window=ComparisonWindow("params")).selection


def test_a_cut_without_a_window_is_left_out() -> None:
    sizes = pd.Series(np.repeat([1.0, 2.0], [21, 3]))  # a half has 9 to 12 of those that are alike
    y = pd.Series(np.arange(24.0))
    table = Candidates(y.to_frame("nwot"), y, y, sizes, ComparisonWindow("params"))
    found = list(cuts(table, 40, seed=0))
    assert 20 <= len(found) < 40
    for here, rest in found:
        assert sorted([*here, *rest]) == list(range(24))
        assert min((sizes[here] == 1).sum(), (sizes[rest] == 1).sum()) >= 10


def test_the_target_is_no_bias() -> None:
    with pytest.raises(InputError, match="the target 'accuracy' is the bias"):
        Libra().fit(views(), "accuracy", bias="accuracy", proxies=["nwot", "zico"])
