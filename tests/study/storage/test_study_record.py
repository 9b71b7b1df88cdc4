"""The study that records together are, and that damaged ones are refused in one line, whatever storage kept them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from lswag_fast.errors import InputError, StorageError
from lswag_fast.spaces import NasBench201
from lswag_fast.study.objective import Objective
from lswag_fast.study.storage import MemoryStorage, Record
from lswag_fast.study.storage.records import PROPOSAL_FIELDS
from lswag_fast.study.storage.study_record import StudyRecord
from lswag_fast.study.stored import read_study
from lswag_fast.study.study import Study
from study.toy_space import ToySpace


def stored() -> MemoryStorage:
    storage = MemoryStorage()
    with Study(ToySpace(), "evolution", storage, seed=1) as study:
        for score in (1.0, 2.0):
            study.tell(study.ask(), score)
        study.tell(study.ask(), error="broken")
    return storage


def test_trials_come_back_as_they_were_told() -> None:
    storage = MemoryStorage()
    with Study(ToySpace(), "random", storage, objective=Objective(("zico", "lswag"))) as study:
        told = [study.tell(study.ask(), {"lswag": 0.1 + n, "zico": -1.5 * n}) for n in range(3)]
        told.append(study.tell(study.ask(), {"lswag": 2.5, "zico": math.nan}))
        running = study.ask()
    found = StudyRecord.from_records(storage.read())
    decode = ToySpace().decode
    assert [replace(found.trial(trial.number, decode), score=trial.score) for trial in told] == told
    assert found.trial(running.number, decode).state == "waiting"
    assert found.finished.tolist() == [True] * 4 + [False] * 46
    assert (found.n_finished, list(found.failures), found.results.numbers.tolist()) == (4, [3], [0, 1, 2])


RESULT = [0, 1.0, 1.0, 1.0]
EXACT: list[Any] = [1.0, "", "", {"score": 1.5}]
FAILURE = [0, 1.0, 1.0, "broken", "", {}]


def batch(n_renewals: Any = 0, place: Any = 5, gauss: Any = None, **fields: Any) -> list[Any]:
    usual = dict(zip(PROPOSAL_FIELDS, ("{}", "random", 1, 2, None), strict=True))
    return [n_renewals, place, gauss, *(usual | fields).values()]


def whole(**chance: Any) -> list[Any]:
    """A batch of as many proposals as the sampler makes at first."""
    return batch(**chance) + 49 * batch()[3:]


DAMAGE = {
    "no settings": Record("attr", "settings", None),
    "settings as text": Record("attr", "settings", "space"),
    "settings without a field": Record("attr", "settings", {"space": {}}),
    "versions as a list": Record("attr", "versions", []),
    "status as a number": Record("attr", "status", 1),
    "a batch too many": Record("batch", 7, []),
    "a batch as a number": Record("batch", 0, 3),
    "a field too few": Record("batch", 0, batch()[:-1]),
    "a batch as text": Record("batch", 0, "abcde"),
    "an architecture as a number": Record("batch", 0, batch(arch_json=1)),
    "a cost as text": Record("batch", 0, batch(n_params="1")),
    "a latency of a proposal as text": Record("batch", 0, batch(latency_ms="1")),
    "a result of nobody": Record("result", 5000, RESULT),
    "a result before the first": Record("result", -1, RESULT),
    "a result named by text": Record("result", "x", RESULT),
    "a result that failed too": Record("result", 2, RESULT),
    "a value as text": Record("result", 3, [*RESULT[:3], "1"]),
    "a value too few": Record("result", 3, RESULT[:3]),
    "values as text": Record("result", 3, "abcd"),
    "a huge number": Record("result", 3, [*RESULT[:3], 10**400]),
    "a failure of nobody": Record("failure", 5000, FAILURE),
    "a failure named by text": Record("failure", "x", FAILURE),
    "a failure without values": Record("failure", 3, FAILURE[:5]),
    "a failure of another proxy": Record("failure", 3, [*FAILURE[:5], {"zico": 1.0}]),
    "an error as a number": Record("failure", 3, [0, 1.0, 1.0, 1, "", {}]),
    "a clock as text": Record("failure", 3, [0, 1.0, "1", "broken", "", {}]),
    "words of chance": Record("state", "words", "AAAA"),
    "words that are not base64": Record("state", "words", "\u00e9"),
    "a place far away": Record("batch", 0, whole(place=10**30)),
    "a place as text": Record("batch", 0, whole(place="5")),
    "renewals without end": Record("batch", 0, whole(n_renewals=10**9)),
    "renewals as text": Record("batch", 0, whole(n_renewals="1")),
    "a left-over number as text": Record("batch", 0, whole(gauss="1")),
    "a batch without proposals of its trials": Record("batch", 0, batch()),
    "a batch without chance": Record("batch", 0, []),
    "a memory that is not there": Record("state", "memory", ["members"]),
    "a memory as a number": Record("state", "memory", 3),
    "a latency as text": Record("latency", "{}", "fast"),
    "an exact score of nobody": Record("exact", 5000, EXACT),
    "an exact score of a failure": Record("exact", 2, EXACT),
    "an exact score of another proxy": Record("exact", 1, [*EXACT[:3], {"zico": 1.0}]),
    "an exact score beside an error": Record("exact", 1, [1.0, "broken", "", EXACT[3]]),
    "an exact score without values": Record("exact", 1, EXACT[:3]),
    "an exact score as text": Record("exact", 1, [*EXACT[:3], {"score": "1"}]),
    "an exact error as a number": Record("exact", 1, [1.0, 1, "", EXACT[3]]),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_said_in_one_line_by_readers_and_writers(name: str) -> None:
    storage = stored()
    storage.open()
    storage.write([DAMAGE[name]])
    storage.close()
    for use in (lambda: read_study(storage), lambda: Study(ToySpace(), "evolution", storage, seed=1)):
        with pytest.raises(StorageError, match="the study in memory is damaged") as caught:
            use()
        assert "\n" not in str(caught.value)
    assert not storage.is_being_written()


FUNCTIONS = {
    "no functions": [],
    "functions as text": "a" * 51,
    "a function too few": [0, *["a"] * 49],
    "a function as a number": [0, *[1] * 50],
    "a count as text": ["0", *["a"] * 50],
    "a count below zero": [-1, *["a"] * 50],
}


@pytest.mark.parametrize("value", FUNCTIONS.values(), ids=FUNCTIONS)
def test_damage_to_what_the_architectures_compute_is_said(value: Any) -> None:
    storage = MemoryStorage()
    with Study(NasBench201(), "random", storage) as study:
        study.tell(study.ask(), 1.0)
    assert StudyRecord.from_records(storage.read()).n_isomorphic == study.result().n_isomorphic > 0
    storage.open()
    storage.write([Record("isomorphic", 0, value)])
    storage.close()
    with pytest.raises(StorageError, match="the study in memory is damaged"):
        read_study(storage)


def test_a_value_that_is_not_finite_cannot_even_be_stored() -> None:
    values: list[Any] = [math.nan, math.inf]
    storage = stored()
    storage.open()
    for value in values:
        with pytest.raises(StorageError):
            storage.write([Record("result", 3, value)])


def test_exact_scores_come_back_as_they_were_told() -> None:
    storage = MemoryStorage()
    with Study(ToySpace(), "random", storage, n_finalists=2) as study:
        for score in (1.0, 2.0, 3.0):
            study.tell(study.ask(), score)
        best, second = study.unsettled()
        study.tell_exact(second, 7.5)
        study.tell_exact(best, math.nan)
        with pytest.raises(InputError, match="trial 0 waits for no exact score"):
            study.tell_exact(study.trials[0], 1.0)
        told = study.trials
    found = read_study(storage)
    assert found.settings.n_finalists == 2
    assert [(t.number, t.exact_score, t.exact_error) for t in found.top()] == [
        (1, 7.5, ""),
        (2, None, "score is not finite: nan"),
        (0, None, ""),
    ]
    assert [(t.exact_values, t.exact_score) for t in found.trials] == [(t.exact_values, t.exact_score) for t in told]
