"""What each event writes, and that what is packed comes out again."""

from __future__ import annotations

import random

import pytest

from lswag_fast.study.storage import Record
from lswag_fast.study.storage.records import (
    ChangedRecords,
    milliseconds_of,
    result_record,
    start_time_of,
    state_records,
    unpack_random,
)
from lswag_fast.study.trial import COMPLETE, FAILED, Trial


def finished(state: str, **fields: object) -> Trial:
    start = "1970-01-01T00:00:01.500+00:00"
    return Trial(4, {}, "{}", "random", 0, 1, 2, start, state, elapsed_ms=3.0, **fields)  # type: ignore[arg-type]


def test_the_values_of_a_result_stand_in_the_order_of_the_proxies() -> None:
    trial = finished(COMPLETE, values={"b": 2.0, "a": 1.0})
    assert result_record(trial, ("a", "b"), "", 9.0) == Record("result", 4, [1500, 3.0, 9.0, 1.0, 2.0])


def test_a_failure_keeps_its_reason_and_what_was_finite() -> None:
    trial = finished(FAILED, error="broken", values={"b": 2.0})
    assert result_record(trial, ("a", "b"), "where", 9.0) == Record(
        "failure", 4, [1500, 3.0, 9.0, "broken", "where", {"b": 2.0}]
    )


@pytest.mark.parametrize("text", ["2026-02-28T23:59:59.999+00:00", "1970-01-01T00:00:00.000+00:00"])
def test_times_come_back_to_the_millisecond(text: str) -> None:
    assert start_time_of(milliseconds_of(text)) == text


def test_the_state_of_chance_comes_back() -> None:
    rng = random.Random(3)
    rng.gauss(0, 1)
    found = {record.key: record.value for record in state_records(0, 0, rng.getstate(), None)}
    again = unpack_random(found["words"], *found["place"])
    assert [again.gauss(0, 1), again.random()] == [rng.gauss(0, 1), rng.random()]


def test_what_did_not_change_is_left_out() -> None:
    changed, records = ChangedRecords(), [Record("state", "a", 1), Record("state", "b", [1])]
    assert changed.changed(records) == records
    changed.keep(records)
    assert changed.changed([Record("state", "a", 2), Record("state", "b", [1])]) == [Record("state", "a", 2)]
