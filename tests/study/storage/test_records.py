"""What records mean, and that damaged ones are refused in one line, whatever storage kept them."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from lswag_fast.errors import StorageError
from lswag_fast.study.storage import MemoryStorage, Record
from lswag_fast.study.storage.records import ChangedRecords, StudyRecord, state_records
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


def test_the_state_of_chance_comes_back() -> None:
    rng = random.Random(3)
    rng.gauss(0, 1)
    found = {record.key: record.value for record in state_records(0, 0, rng.getstate(), {"a": [1]})}
    storage = stored()
    records = {**storage.read(), "memory": {"a": [1]}}
    records["state"] = {**records["state"], "words": found["words"], "place": found["place"]}
    again = StudyRecord.from_records(records).rng
    assert again is not None
    assert [again.gauss(0, 1), again.random()] == [rng.gauss(0, 1), rng.random()]


def test_what_did_not_change_is_left_out() -> None:
    changed, records = ChangedRecords(), [Record("state", "a", 1), Record("state", "b", [1])]
    assert changed.changed(records) == records
    changed.keep(records)
    assert changed.changed([Record("state", "a", 2), Record("state", "b", [1])]) == [Record("state", "a", 2)]


RESULT = ["complete", {"score": 1.0}, "", "", 1.0, 1.0, ""]
DAMAGE = {
    "no settings": Record("attr", "settings", None),
    "settings as text": Record("attr", "settings", "space"),
    "settings without a field": Record("attr", "settings", {"space": {}}),
    "versions as a list": Record("attr", "versions", []),
    "status as a number": Record("attr", "status", 1),
    "a batch too many": Record("batch", 7, []),
    "a batch as a number": Record("batch", 0, 3),
    "a short proposal": Record("batch", 0, [["{}", "random"]]),
    "a proposal of texts": Record("batch", 0, [["{}", "random", "1", "2", None]] * 50),
    "a result of nobody": Record("result", 5000, RESULT),
    "a result named by text": Record("result", "x", RESULT),
    "an unknown state": Record("result", 3, ["odd", *RESULT[1:]]),
    "a score as text": Record("result", 3, ["complete", {"score": "1"}, *RESULT[2:]]),
    "another proxy": Record("result", 3, ["complete", {"zico": 1.0}, *RESULT[2:]]),
    "values as a list": Record("result", 3, ["complete", [1.0], *RESULT[2:]]),
    "a huge number": Record("result", 3, ["complete", {"score": 10**400}, *RESULT[2:]]),
    "words of chance": Record("state", "words", "AAAA"),
    "words that are not base64": Record("state", "words", "\u00e9"),
    "a place far away": Record("state", "place", [10**30, None]),
    "other numbers": Record("state", "batches", [1, 3, None]),
    "a memory that is not there": Record("state", "batches", [1, 50, ["members"]]),
    "a latency as text": Record("latency", "{}", "fast"),
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


def test_a_value_that_is_not_finite_cannot_even_be_stored() -> None:
    values: list[Any] = [math.nan, math.inf]
    storage = stored()
    storage.open()
    for value in values:
        with pytest.raises(StorageError):
            storage.write([Record("result", 3, value)])
