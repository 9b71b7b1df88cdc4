"""What one can do with a study next."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from lswag_fast.report.steps import continuing_command, next_steps
from support.studies import failed_trial, study, trial

COMMAND = "lswag-fast search 'a space:make' --trials 50 --out runs/old"


@pytest.mark.parametrize("status", ["interrupted", "killed", "failed"])
def test_a_cut_search_is_continued_where_it_is_now_for_as_many_trials_as_were_wanted(status: str) -> None:
    metadata = {"command": COMMAND}
    cut = study((trial(0),), Path("runs/a new place"), status=status, metadata=metadata, n_trials_wanted=70)
    words = shlex.split(next_steps(cut)["continue the search"])
    assert words == ["lswag-fast", "search", "a space:make", "--trials", "70", "--out", "runs/a new place"]


def test_a_command_without_its_number_of_trials_is_completed() -> None:
    metadata = {"command": "lswag-fast search autoformer-tiny"}
    done = study((trial(0),), Path("run"), metadata=metadata, n_trials_wanted=30)
    assert next_steps(done)["score twice as many"] == "lswag-fast search autoformer-tiny --trials 60 --out run"


@pytest.mark.parametrize("status", ["running", "exhausted"])
def test_what_runs_or_has_nothing_left_is_not_continued(status: str) -> None:
    metadata = {"command": COMMAND}
    steps = next_steps(study((failed_trial(0),), status=status, metadata=metadata))
    assert list(steps) == ["one page to look at", "all trials as a table"]


def test_a_search_is_continued_up_to_the_larger_number_of_trials() -> None:
    done = study((trial(0),), Path("run"), metadata={"command": COMMAND}, n_trials_wanted=70)
    assert continuing_command(done, 9) == "lswag-fast search 'a space:make' --trials 70 --out run"
    assert continuing_command(done, 90) == "lswag-fast search 'a space:make' --trials 90 --out run"
    assert continuing_command(study((trial(0),), Path("run")), 90) is None


def test_a_search_of_python_is_continued_there_and_what_is_not_stored_not_at_all() -> None:
    assert "continue the search" not in next_steps(study((trial(0),), status="killed"))
    assert next_steps(study((trial(0),), path=None)) == {}
