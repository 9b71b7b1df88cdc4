"""The charts of the page, before they are drawn."""

from __future__ import annotations

from lswag_fast.report import charts
from support.studies import trial


def test_thinning_keeps_the_ends_and_what_matters() -> None:
    trials = [trial(number) for number in range(1000)]
    found = [kept.number for kept in charts.thinned(trials, keep=[trials[123]], limit=50)]
    assert found[0] == 0
    assert found[-1] == 999
    assert 123 in found
    assert 50 <= len(found) <= 51
    assert found == sorted(set(found))
    assert charts.thinned(trials, keep=(), limit=1000) == trials
