"""Measurements as a person reads them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lswag_fast.report import words
from support.studies import SETTINGS, study, trial


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0 s"),
        (840, "0.84 s"),
        (9_960, "10 s"),
        (59_600, "1 min 00 s"),
        (192_000, "3 min 12 s"),
        (3_599_900, "1 h 00 min"),
        (50_700_000, "14 h 05 min"),
    ],
)
def test_durations_have_the_two_largest_units(milliseconds: float, text: str) -> None:
    assert words.duration(milliseconds) == text


def test_rates_are_per_second_or_per_minute() -> None:
    assert words.rate(30, 10_000) == "3.0 trials per second"
    assert words.rate(3, 60_000) == "3.0 trials per minute"
    assert words.rate(0, 60_000) == words.rate(5, 0) == "-"


def test_one_is_not_many() -> None:
    assert [words.plural(n, "trial") for n in (0, 1, 2000)] == ["0 trials", "1 trial", "2,000 trials"]


def test_settings_become_one_level_of_text() -> None:
    given = {
        "sampler": {"name": "random", "options": {}},
        "shape": [3, 8, 8],
        "fraction": 0.125,
        "split": None,
        "lower": [],
    }
    assert words.flat(given) == {
        "sampler.name": "random",
        "sampler.options": "none",
        "shape": "3, 8, 8",
        "fraction": "0.125",
        "split": "none",
        "lower": "none",
    }


def test_a_budget_reads_as_it_was_typed() -> None:
    assert words.budget({"params": [5e6, 7e6], "macs": [0.0, 2e9], "latency_ms": [3.0, None]}) == (
        "params 5M..7M, macs ..2G, latency_ms 3.."
    )
    assert words.budget({}) == ""


def test_a_fidelity_says_what_became_of_the_finalists() -> None:
    settings = replace(SETTINGS, n_finalists=2)
    assert words.fidelity(study((trial(0),))) == ""
    waiting = (trial(0), trial(1, exact_values={"lswag": 1.0}))
    assert (
        words.fidelity(study(waiting, settings=settings))
        == "fast (gradients of 8 samples); the 2 best are scored exactly at the end"
    )
    settled = tuple(replace(t, exact_score=1.0) for t in waiting)
    assert (
        words.fidelity(study(settled, settings=settings))
        == "fast (gradients of 8 samples); the 2 best were scored exactly"
    )


def test_seconds_are_shares_the_longest_first() -> None:
    assert words.seconds(study((trial(0),), profile_seconds=None)) == ""
    found = study((trial(0),), profile_seconds={"build": 0.5, "forward": 3.0, "kernel": 0.5})
    assert words.seconds(found) == "forward 75%, build 12%, kernel 12%"
