"""The default rule, "weights": what is fitted, what it is worth where it was not fitted, and where it gives way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.stats import rankdata, spearmanr

from lswag_fast import Libra, rank_aggregate
from lswag_fast.data.tables import read_table
from lswag_fast.errors import InputError
from lswag_fast.libra.judge import Candidates
from lswag_fast.libra.stored import read_selection
from lswag_fast.libra.weights import LEAST_SHARE, PENALTY, fitted_weights, weighted_members
from lswag_fast.libra.windows import ComparisonWindow, everything
from support.published import published_file

N = 120
RNG = np.random.default_rng(0)
Y = RNG.normal(size=N)
SIZES = np.repeat([1.0, 2.0, 3.0], N // 3)
SCORES = pd.DataFrame(
    {
        "nwot": Y + RNG.normal(size=N),
        "zico": Y + RNG.normal(size=N),
        "snip": Y + 2 * RNG.normal(size=N),
        "fisher": -Y + RNG.normal(size=N),  # points the wrong way: it counts against
    }
)
TABLE = SCORES.assign(accuracy=Y, params=SIZES)
PROXIES = list(SCORES.columns)
SEED_OF_ONE_LEFT = 12  # of a table whose weights leave one proxy, which counts against, after the least share
BEST = 1
"""The column that the fit is told to be the best."""


def loss(weights: np.ndarray, groups: list[np.ndarray]) -> float:
    """The squared error in the ranks inside each group, and the penalty, as the docstring says it."""
    alone = np.zeros(len(PROXIES))
    alone[BEST] = minimize_scalar(lambda weight: error(weight * np.eye(len(PROXIES))[BEST], groups)).x
    return error(weights, groups) + PENALTY * float((weights - alone) @ (weights - alone))


def error(weights: np.ndarray, groups: list[np.ndarray]) -> float:
    """The squared error in the ranks inside each group."""
    total = 0.0
    for rows in groups:
        logs = np.log(rankdata(SCORES.to_numpy()[rows], axis=0) / len(rows))
        ranks = rankdata(Y[rows]) / len(rows)
        residual = ranks - ranks.mean() - (logs - logs.mean(axis=0)) @ weights
        total += float(residual @ residual)
    return total


@pytest.mark.parametrize("share", [None, 0.1])
def test_weights_minimise_the_penalised_error_in_the_ranks(share: float | None) -> None:
    windows = everything(N) if share is None else ComparisonWindow("params", share).among(SIZES)
    groups = [np.arange(N)] if share is None else [np.flatnonzero(size == SIZES) for size in np.unique(SIZES)]
    for found, least in zip(fitted_weights(SCORES.to_numpy(), Y, windows, BEST), (0, None), strict=True):
        bounds = [(least, None)] * len(PROXIES)
        expected = minimize(loss, np.full(len(PROXIES), 0.1), (groups,), bounds=bounds, options={"ftol": 1e-14})
        assert found == pytest.approx(expected.x, abs=1e-4)  # where the minimiser stops
        assert found[PROXIES.index("fisher")] == 0 if least == 0 else found[PROXIES.index("fisher")] < 0


def gains_of(scores: pd.DataFrame, target: pd.Series, halves: int, seed: int, signed: bool) -> list[float]:
    """What weights fitted to each half gain on the other over the best proxy of the first, as the docstring says it."""
    order, rng = np.argsort(scores.index.astype(str), kind="stable"), np.random.default_rng(seed)
    gains = []
    for _ in range(halves):
        drawn = order[rng.permutation(len(order))]
        here, rest = drawn[: len(order) // 2], drawn[len(order) // 2 :]
        best = scores.iloc[here].corrwith(target.iloc[here], method="spearman").idxmax()
        place = scores.columns.get_loc(best)
        both = fitted_weights(scores.to_numpy()[here], target.to_numpy()[here], everything(len(here)), place)
        weights = both[int(signed)]
        together = np.log(scores.iloc[rest].rank(pct=True)) @ weights
        alone = spearmanr(scores[best].iloc[rest], target.iloc[rest]).statistic
        gains.append(spearmanr(together, target.iloc[rest]).statistic - alone)
    return gains


def test_the_gain_is_that_on_halves_that_were_not_fitted() -> None:
    target = pd.Series(Y)
    found = weighted_members(Candidates(SCORES, target, target), 6, seed=2)
    gains = gains_of(SCORES, target, 6, seed=2, signed=True)
    assert found is not None
    assert found.gain == pytest.approx(np.mean(gains))
    assert found.standard_error == pytest.approx(np.std(gains, ddof=1))
    magnitudes = [abs(weight) for weight in found.weights]
    assert sum(magnitudes) == pytest.approx(1)
    assert magnitudes == sorted(magnitudes, reverse=True)
    assert min(magnitudes) >= LEAST_SHARE
    assert [name for name, weight in zip(found.names, found.weights, strict=True) if weight < 0] == ["fisher"]


def test_weights_below_0_have_to_pay_as_well() -> None:
    """A proxy that ranks the wrong way round counts against only if that ranks better than leaving it out."""
    rng = np.random.default_rng(3)
    y = pd.Series(rng.normal(size=80))
    right = pd.DataFrame({name: y + rng.normal(size=80) for name in ("nwot", "zico", "snip")})
    for wrong, against in ((rng.normal(size=80), []), (-y + rng.normal(size=80), ["fisher"])):
        scores = right.assign(fisher=wrong)
        extra = np.subtract(*(gains_of(scores, y, 20, seed=0, signed=signed) for signed in (True, False)))
        found = weighted_members(Candidates(scores, y, y), 20, seed=0)
        assert found is not None
        assert (extra.mean() > extra.std(ddof=1)) == bool(against)
        assert [name for name, weight in zip(found.names, found.weights, strict=True) if weight < 0] == against


@pytest.mark.parametrize("n_proxies", [2, 3])
def test_proxies_that_all_rank_the_wrong_way_round_all_count_against(n_proxies: int) -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=200)
    wrong = {name: -y + rng.normal(size=200) for name in PROXIES[:n_proxies]}
    table = pd.DataFrame({"accuracy": y, "params": rng.normal(size=200), **wrong})
    libra = Libra().fit(table, "accuracy", proxies=list(wrong))
    assert set(libra.selection) == set(wrong)
    assert max(libra.result.weights or (1,)) < 0
    assert libra.predict(table).corr(table["accuracy"], method="spearman") == pytest.approx(libra.result.rho)
    assert libra.result.rho > 0.7


def test_what_counts_against_keeps_another_beside_it_however_little_that_counts(tmp_path: Path) -> None:
    rng = np.random.default_rng(SEED_OF_ONE_LEFT)
    y = rng.normal(size=200)
    table = pd.DataFrame({"accuracy": y, "params": rng.normal(size=200), "nwot": -y + rng.normal(size=200) * 0.05})
    libra = Libra(halves=5).fit(table, "accuracy")
    weights = libra.result.weights
    assert weights is not None
    assert libra.selection == ("nwot", "params")
    assert weights[0] < -1 + LEAST_SHARE
    assert 0 < abs(weights[1]) < LEAST_SHARE
    assert libra.predict(table).corr(table["accuracy"], method="spearman") == pytest.approx(libra.result.rho)
    libra.save(tmp_path / "selection.json")
    assert read_selection(tmp_path / "selection.json").weights == weights


def test_one_proxy_against_cannot_be_the_answer() -> None:
    """The other is the same in all windows, so that nothing can stand beside it."""
    scores = pd.DataFrame({"nwot": SIZES, "zico": -Y})
    table = scores.assign(accuracy=Y, params=SIZES)
    libra = Libra().fit(table, "accuracy", proxies=list(scores), window=ComparisonWindow("params", 0.1))
    assert libra.result.weights is None
    assert libra.selection == ("nwot",)


def test_few_architectures_say_little_against_the_best_proxy() -> None:
    rows = np.arange(10)
    fits = [
        fitted_weights(scores, target, everything(len(target)), BEST)[0]
        for scores, target in ((SCORES.to_numpy()[rows], Y[rows]), (SCORES.to_numpy(), Y))
    ]
    assert fits[0][BEST] / fits[0].sum() > fits[1][BEST] / fits[1].sum()


def test_libra_ranks_by_the_weights_and_says_how_much_each_counts(tmp_path: Path) -> None:
    libra = Libra(rule="weights").fit(TABLE, "accuracy", proxies=PROXIES)
    weights = libra.result.weights
    assert weights is not None
    names = list(libra.selection)
    expected = np.log(TABLE[names].rank(pct=True)) @ np.array(weights)
    assert libra.predict(TABLE).to_numpy() == pytest.approx(expected.to_numpy())
    assert libra.result.rho == pytest.approx(spearmanr(expected, Y).statistic)
    libra.save(tmp_path / "selection.json")
    found = read_selection(tmp_path / "selection.json")
    assert (found.proxies, found.weights) == (libra.selection, weights)


def test_inside_windows_the_weights_are_those_of_the_windows() -> None:
    # nwot sees the size alone, which says nothing inside a window
    scores = pd.DataFrame({"nwot": SIZES + 0.1 * RNG.normal(size=N), "zico": Y, "snip": Y + RNG.normal(size=N)})
    table = scores.assign(accuracy=10 * SIZES + Y, params=SIZES)
    found = Libra(rule="weights").fit(table, "accuracy", proxies=list(scores), window=ComparisonWindow("params", 0.1))
    assert "nwot" not in found.selection
    assert "nwot" in Libra(rule="weights").fit(table, "accuracy", proxies=list(scores)).selection


def test_where_weights_gain_nothing_the_best_proxy_is_the_answer() -> None:
    noise = pd.DataFrame({name: RNG.normal(size=N) for name in ("zico", "snip", "fisher")})
    table = noise.assign(accuracy=Y, params=SIZES, nwot=Y)  # nothing ranks better than nwot
    libra = Libra().fit(table, "accuracy", proxies=["nwot", *noise])
    assert libra.result.weights is None
    assert libra.selection == ("nwot",)
    assert libra.to_dict()["weights"] is None


def test_a_gain_within_its_standard_error_is_chance() -> None:
    rng = np.random.default_rng(0)
    y = pd.Series(rng.normal(size=60))
    scores = pd.DataFrame({"nwot": y + rng.normal(size=60), "zico": y + 2 * rng.normal(size=60)})
    gains = gains_of(scores, y, 20, seed=0, signed=False)
    assert 0 < np.mean(gains) < np.std(gains, ddof=1)
    assert weighted_members(Candidates(scores, y, y), 20, seed=0) is None


@pytest.mark.parametrize(
    ("how", "weights", "words"),
    [
        ("rank_sum", (0.5, 0.5), "rank weights are for log_rank, the combination is rank_sum"),
        ("log_rank", (0.5,), "rank weights must be a number other than 0 for each of nwot, zico"),
        ("log_rank", (0.5, float("inf")), "rank weights must be a number other than 0 for each of nwot, zico"),
    ],
)
def test_weights_that_fit_no_combination_are_refused(how: str, weights: tuple[float, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        rank_aggregate(SCORES[["nwot", "zico"]], how, weights)  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [50, 100, 200, 500])
def test_it_never_makes_published_proxies_worse(n: int) -> None:
    """On the architectures left out, against the best member chosen on the same labels."""
    path = published_file("nasbench201", "nb201_proxies_suite_cifar10.csv.gz")
    table, target = read_table(path, key="index"), "val_accuracy_suite"
    gains = []
    for seed in range(6):
        fitted = table.sample(n, random_state=seed)
        rest = table.drop(fitted.index)
        libra = Libra().fit(fitted, target)
        best = libra.explain().index[0]
        combined, alone = (z.corr(rest[target], method="spearman") for z in (libra.predict(rest), rest[best]))
        gains.append(combined - alone)
    assert min(gains) > -0.03
    assert np.mean(gains) > 0
