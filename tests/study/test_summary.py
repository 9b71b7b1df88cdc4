"""What the trials of a study say taken together."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone

import pytest

from lswag_fast.study import summary
from lswag_fast.study.trial import Trial
from support.studies import failed_trial, trial

RISING = [1.0, 5.0, 3.0, 5.0, 8.0]


def scored(*scores: float) -> list[Trial]:
    return [trial(number, score=score, values={"lswag": score}) for number, score in enumerate(scores)]


def measured(trials: list[Trial]) -> list[str]:
    return [cost.field for cost in summary.measured_costs(trials)]


def test_a_new_best_beats_all_before_it() -> None:
    assert [found.number for found in summary.improvements(scored(*RISING))] == [0, 1, 4]


def test_failed_trials_have_no_score() -> None:
    trials = [failed_trial(0), *scored(1.0, 2.0)[1:]]
    assert [found.number for found in summary.complete(trials)] == [1]
    assert [found.number for found in summary.failed(trials)] == [0]
    assert [found.number for found in summary.improvements(trials)] == [1]


def test_a_cost_counts_as_measured_when_every_scored_trial_has_it() -> None:
    with_latency = [trial(number, latency=True) for number in range(3)]
    assert measured(with_latency) == ["n_params", "macs", "latency_ms"]
    assert measured([*with_latency, trial(3)]) == ["n_params", "macs"]
    assert measured([failed_trial(0)]) == []


def test_correlation_is_that_of_the_ranks() -> None:
    assert summary.correlation([1, 2, 3, 4], [1, 10, 100, 1e9]) == pytest.approx(1)
    assert summary.correlation([1, 2, 3, 4], [2, 1, 4, 3]) == pytest.approx(0.6)
    assert math.isnan(summary.correlation([1, 2, 3], [5, 5, 5]))
    assert math.isnan(summary.correlation([1, 2], [1, 2]))


def test_agreement_negates_proxies_for_which_lower_is_better() -> None:
    trials = [trial(n, values={"a": float(n), "b": -float(n)}, score=float(n)) for n in range(6)]
    plain = summary.agreement(trials)
    negated = summary.agreement(trials, lower_is_better=("b",))
    assert plain is not None
    assert negated is not None
    assert plain.names == ("score", "a", "b", "parameters", "MACs")
    assert plain.rho[1, 2] == pytest.approx(-1)
    assert negated.rho[1, 2] == pytest.approx(1)
    assert negated.rho[0, 1] == pytest.approx(1)
    assert negated.n_trials == 6


def test_agreement_needs_two_proxies_and_three_trials() -> None:
    two = ("a", "b")
    assert summary.agreement([trial(n) for n in range(9)]) is None
    assert summary.agreement([trial(n, two) for n in range(2)]) is None
    assert summary.agreement([failed_trial(n) for n in range(9)]) is None
    assert summary.agreement([trial(n, two) for n in range(3)]) is not None


def test_reasons_are_sorted_by_how_often() -> None:
    trials = [failed_trial(0, "a"), failed_trial(1, "b"), failed_trial(2, "b"), trial(3)]
    assert {reason: [t.number for t in lost] for reason, lost in summary.failures_by_reason(trials).items()} == {
        "b": [1, 2],
        "a": [0],
    }
    assert list(summary.failures_by_reason(trials)) == ["b", "a"]


def timed_trial(number: int, start_s: float, elapsed_ms: float = 1000.0) -> Trial:
    start = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=start_s)
    return trial(number, start_time=start.isoformat(timespec="milliseconds"), elapsed_ms=elapsed_ms)


def test_the_share_of_the_driver_is_what_lies_between_trials() -> None:
    starts = [0.0, 1.25, 2.5, 3.75, 3605.0]  # a pause of an hour before the last
    trials = [timed_trial(number, start) for number, start in enumerate(starts)]
    assert summary.driver_share(trials) == pytest.approx(0.75 / 5.75)
    assert summary.driver_share(trials[:3]) is None
    assert summary.driver_share([*trials, timed_trial(5, 3605.5)]) is None  # two at once
