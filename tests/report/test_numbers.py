"""What the figures show, before anything is drawn."""

from __future__ import annotations

import math

import pytest

from lswag_fast.report import numbers
from lswag_fast.study.trial import Trial
from report.studies import failed_trial, profile, trial

RISING = [1.0, 5.0, 3.0, 5.0, 8.0]


def scored(*scores: float) -> list[Trial]:
    return [trial(number, score=score, values={"lswag": score}) for number, score in enumerate(scores)]


def test_a_new_best_beats_all_before_it() -> None:
    assert [found.number for found in numbers.improvements(scored(*RISING))] == [0, 1, 4]


def test_failed_trials_are_no_scored_ones() -> None:
    trials = [failed_trial(0), *scored(1.0, 2.0)[1:]]
    assert [found.number for found in numbers.complete(trials)] == [1]
    assert [found.number for found in numbers.failed(trials)] == [0]
    assert [found.number for found in numbers.improvements(trials)] == [1]


def test_a_cost_counts_as_measured_when_every_scored_trial_has_it() -> None:
    with_latency = [trial(number, latency=True) for number in range(3)]
    assert numbers.measured_costs(with_latency) == ("n_params", "macs", "latency_ms")
    assert numbers.measured_costs([*with_latency, trial(3)]) == ("n_params", "macs")
    assert numbers.measured_costs([failed_trial(0)]) == ()


def test_thinning_keeps_the_ends_and_what_matters() -> None:
    trials = scored(*map(float, range(1000)))
    found = [kept.number for kept in numbers.thinned(trials, keep=[trials[123]], limit=50)]
    assert found[0] == 0
    assert found[-1] == 999
    assert 123 in found
    assert 50 <= len(found) <= 51
    assert found == sorted(set(found))
    assert numbers.thinned(trials, keep=(), limit=1000) == trials


def test_correlation_is_that_of_the_ranks() -> None:
    assert numbers.correlation([1, 2, 3, 4], [1, 10, 100, 1e9]) == pytest.approx(1)
    assert numbers.correlation([1, 2, 3, 4], [2, 1, 4, 3]) == pytest.approx(0.6)
    assert math.isnan(numbers.correlation([1, 2, 3], [5, 5, 5]))
    assert math.isnan(numbers.correlation([1, 2], [1, 2]))


def test_agreement_turns_proxies_of_which_less_is_better() -> None:
    trials = [trial(n, values={"a": float(n), "b": -float(n)}, score=float(n)) for n in range(6)]
    plain = numbers.agreement(trials)
    turned = numbers.agreement(trials, lower_is_better=("b",))
    assert plain is not None
    assert turned is not None
    assert plain.names == ("score", "a", "b", "parameters", "MACs")
    assert plain.rho[1, 2] == pytest.approx(-1)
    assert turned.rho[1, 2] == pytest.approx(1)
    assert turned.rho[0, 1] == pytest.approx(1)
    assert turned.n_trials == 6


def test_agreement_needs_two_proxies_and_three_trials() -> None:
    two = ("a", "b")
    assert numbers.agreement([trial(n) for n in range(9)]) is None
    assert numbers.agreement([trial(n, two) for n in range(2)]) is None
    assert numbers.agreement([failed_trial(n) for n in range(9)]) is None
    assert numbers.agreement([trial(n, two) for n in range(3)]) is not None


def test_layers_are_grouped_by_what_they_do() -> None:
    found = {role.name: role.places for role in numbers.roles(profile())}
    assert found["blocks.*.attn.qkv"] == tuple(range(2, 50, 4))
    assert found["patch_embed_super.proj"] == (1,)
    assert sum(map(len, found.values())) == 49


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("0.weight", "*"),
        ("layer1.0.conv2.weight", "layer1.*.conv2"),
        ("cells.3.edges.11.op", "cells.*.edges.*.op"),
        ("head.weight", "head"),
    ],
)
def test_only_numbers_that_are_a_part_of_the_name_are_left_open(name: str, role: str) -> None:
    layer = {**profile()[0], "name": name}
    assert numbers.roles([layer])[0].name == role


def test_reasons_are_sorted_by_how_often() -> None:
    trials = [failed_trial(0, "a"), failed_trial(1, "b"), failed_trial(2, "b"), trial(3)]
    assert {reason: [t.number for t in lost] for reason, lost in numbers.reasons(trials).items()} == {
        "b": [1, 2],
        "a": [0],
    }
    assert list(numbers.reasons(trials)) == ["b", "a"]
