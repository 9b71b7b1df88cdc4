import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lswag_fast.libra.ranking import rank_aggregate
from lswag_fast.study import standings
from lswag_fast.study.history import History
from lswag_fast.study.objective import Objective
from lswag_fast.study.standings import Leaders, Ranks, settled
from lswag_fast.study.trial import COMPLETE, Trial, ranked

NAMES = ("a", "b", "c")
WAYS = ["log_rank", "mean_rank", "rank_sum", "product"]


def trial(number, values, score=None):
    return Trial(number, {}, f'"{number}"', "random", 0, 1, 1, state=COMPLETE, values=values, score=score)


def table(n, ties, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 9, (n, 3)) if ties else rng.normal(size=(n, 3))
    return pd.DataFrame(values.astype(float), columns=NAMES)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("how", WAYS)
def test_scores_are_those_of_rank_aggregate(how, ties, monkeypatch):
    monkeypatch.setattr(standings, "_RECENT", 16)  # so that values lie in both parts
    frame = table(100, ties, 0)
    ranks = Ranks(Objective(NAMES, how))
    for row in frame.to_numpy():
        ranks.add(tuple(row))
    wanted = rank_aggregate(frame, how).to_numpy()
    np.testing.assert_allclose(ranks.scores(frame.to_numpy()), wanted, rtol=1e-14, atol=1e-14)
    # A few of them, in any order, have the scores that they have among all.
    few = [70, 3, 99]
    np.testing.assert_allclose(ranks.scores(frame.to_numpy()[few]), wanted[few], rtol=1e-14, atol=1e-14)


def test_weighted_scores_are_those_of_rank_aggregate():
    frame, weights = table(100, True, 0), (0.5, 0.125, 0.375)
    ranks = Ranks(Objective(NAMES, rank_weights=weights))
    ranks.add_all(frame.to_numpy())
    wanted = rank_aggregate(frame, weights=weights)
    np.testing.assert_allclose(ranks.scores(frame.to_numpy()), wanted, rtol=1e-14, atol=1e-14)
    assert wanted.rank().tolist() != rank_aggregate(frame).rank().tolist()  # they decide


def test_an_equal_column_says_nothing():
    ranks = Ranks(Objective(("a", "b"), "product"))
    vectors = np.array([[1.0, 7.0], [3.0, 7.0], [2.0, 7.0]])
    for vector in vectors:
        ranks.add(vector)
    assert ranks.scores(vectors).tolist() == [0.0, 1.0, 0.5]


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("seed", range(2))
def test_leaders_are_the_best_of_all_at_every_moment(how, seed):
    frame = table(150, ties=seed % 2 == 1, seed=seed)
    history = History(Objective(NAMES, how), n_leaders=10)
    for number, row in enumerate(frame.to_dict(orient="records")):
        history.propose([trial(number, {})])
        history.put(trial(number, row))
        scores = rank_aggregate(frame[: number + 1], how)
        wanted = ranked(trial(n, {}, float(score)) for n, score in enumerate(scores))[:10]
        assert [t.number for t in history.top(10)] == [t.number for t in wanted]


def test_the_order_of_telling_does_not_matter():
    frame = table(80, ties=True, seed=3)
    tops = []
    for order in (range(80), reversed(range(80)), np.random.default_rng(1).permutation(80).tolist()):
        history = History(Objective(NAMES), n_leaders=5)
        history.propose(trial(number, {}) for number in range(80))
        for number in order:
            history.put(trial(number, frame.iloc[number].to_dict()))
        tops.append([(t.number, t.score) for t in history.top(5)])
    assert tops[0] == tops[1] == tops[2]


def test_more_than_the_leaders_are_ranked_when_asked_for():
    history = History(Objective(), n_leaders=3)
    history.propose(trial(number, {}) for number in range(40))
    for number in range(40):
        history.put(trial(number, {"score": float(number % 7)}, float(number % 7)))
    wanted = sorted(range(40), key=lambda number: (-(number % 7), number))
    for count in (1, 3, 10, 25, 100):
        assert [t.number for t in history.top(count)] == wanted[:count]


@given(st.lists(st.tuples(*[st.integers(0, 5)] * 2), max_size=40), st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_a_trial_is_dropped_exactly_when_enough_dominate_it(rows, count):
    leaders = Leaders(count, 2)
    for number, row in enumerate(rows):
        leaders.add(number, tuple(map(float, row)))

    def dominates(y, x):
        strictly = all(a > b for a, b in zip(rows[y], rows[x], strict=True))
        return strictly or (y < x and all(a >= b for a, b in zip(rows[y], rows[x], strict=True)))

    wanted = {x for x in range(len(rows)) if sum(dominates(y, x) for y in range(len(rows))) < count}
    assert set(leaders.numbers.tolist()) == wanted


def test_few_of_many_can_lead():
    leaders = Leaders(10, 3)
    for number, row in enumerate(np.random.default_rng(0).normal(size=(20_000, 3))):
        leaders.add(number, row)
    # About count x (ln n)^2 / 2 = 490 for proxies that have nothing to do with each other.
    assert len(leaders.numbers) < 800


def test_lower_may_be_better():
    history = History(Objective(("a", "b"), lower_is_better=("b",)))
    history.propose(trial(number, {}) for number in range(3))
    for number, b in enumerate((3.0, 1.0, 2.0)):
        history.put(trial(number, {"a": 1.0, "b": b}))
    assert [t.number for t in history.top(3)] == [1, 2, 0]
    assert history.top(1)[0].score == pytest.approx(math.log(2 / 3))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("n_proxies", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 30, 2000])
def test_reading_all_at_once_equals_adding_one_by_one(n, n_proxies, ties):
    frame = table(n, ties, seed=n)[list(NAMES[:n_proxies])]
    numbers = np.random.default_rng(1).permutation(3 * n)[:n]
    vectors = frame.to_numpy()
    one_by_one, at_once = Leaders(10, n_proxies), Leaders(10, n_proxies)
    for number, vector in zip(numbers.tolist(), vectors.tolist(), strict=True):
        one_by_one.add(number, vector)
    at_once.add_all(numbers, vectors)
    for number, vector in ((3 * n, vectors.mean(axis=0)), (3 * n + 1, vectors.max(axis=0))):
        for leaders in (one_by_one, at_once):
            leaders.add(number, vector)
        assert set(at_once.numbers.tolist()) == set(one_by_one.numbers.tolist())
    objective = Objective(NAMES[:n_proxies])
    added, read = Ranks(objective), Ranks(objective)
    for vector in vectors:
        added.add(tuple(vector))
    read.add_all(vectors)
    for ranks in (added, read):
        ranks.add(vectors[0])
    assert read.scores(vectors).tolist() == added.scores(vectors).tolist()


def finalist(number, score, *exact):
    return replace(trial(number, {}, score), exact_values=dict(zip("ab", exact, strict=False)))


def test_exact_scores_combine_ranks_among_the_finalists_and_decide():
    exact = {0: (3.0, 1.0), 1: (1.0, 2.0), 2: (4.0, 4.0), 3: (9.0, 9.0)}
    trials = [finalist(number, 10.0 - number, *values) for number, values in exact.items()]
    objective = Objective(("a", "b"), "rank_sum")
    found = settled(trials, objective, 3)  # the last one was a finalist once
    wanted = rank_aggregate(pd.DataFrame([exact[number] for number in range(3)], columns=["a", "b"]), "rank_sum")
    assert [t.exact_score for t in found] == [*wanted, None]
    assert [t.number for t in ranked(found)] == [2, 0, 1, 3]
    assert settled(trials, objective, 0) == trials


def test_exact_scores_count_when_all_finalists_have_one_or_failed():
    objective = Objective(("a",), lower_is_better=("a",))
    trials = [finalist(0, 5.0), finalist(1, 4.0, 2.0), finalist(2, 3.0)]
    assert settled(trials, objective, 2) == trials  # the first one waits
    failed = [replace(trials[0], exact_error="NaN"), *trials[1:]]
    found = settled(failed, objective, 2)
    assert [t.exact_score for t in found] == [None, -2.0, None]
    assert [t.number for t in ranked(found)] == [1, 0, 2]
    all_failed = [replace(t, exact_values={}, exact_error="NaN") for t in trials]
    assert settled(all_failed, objective, 3) == all_failed
