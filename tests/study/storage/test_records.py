"""What each event writes, and that what is packed comes out again."""

from __future__ import annotations

import random

import pytest

from lswag_fast.study.storage import Record
from lswag_fast.study.storage.chance import Chance
from lswag_fast.study.storage.records import (
    BatchWriter,
    batch_record,
    milliseconds_of,
    result_record,
    start_time_of,
    state_records,
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


def test_a_batch_has_the_state_of_chance_and_the_proposals_one_after_the_other() -> None:
    trials = [Trial(number, {}, "{}", "random", 0, 1, 2) for number in range(2)]
    chance = Chance("AAAA", 3, 5, None)
    proposal = ["{}", "random", 1, 2, None]
    assert batch_record(7, trials, chance) == Record("batch", 7, [3, 5, None, *proposal, *proposal])


@pytest.mark.parametrize(("memory", "names"), [(None, None), ({}, []), ({"a": 1}, ["a"])])
def test_no_memory_is_told_from_an_empty_one(memory: dict[str, int] | None, names: list[str] | None) -> None:
    records = state_records(Chance("AAAA", 3, 5, None), memory)
    assert records[:2] == [Record("state", "words", "AAAA"), Record("state", "memory", names)]
    assert records[2:] == [Record("memory", name, value) for name, value in (memory or {}).items()]


def test_of_the_state_only_what_changed_is_written_again() -> None:
    rng, writer = random.Random(1), BatchWriter()
    first = writer.records(0, [], rng.getstate(), {"a": 1, "b": [1]})
    assert [(record.kind, record.key) for record in first] == [
        ("batch", 0),
        ("state", "words"),
        ("state", "memory"),
        ("memory", "a"),
        ("memory", "b"),
    ]
    assert writer.records(0, [], rng.getstate(), {"a": 1, "b": [1]}) == first  # that could not be stored
    writer.keep(first)
    rng.getrandbits(32 * 700)
    (batch, changed) = writer.records(1, [], rng.getstate(), {"a": 2, "b": [1]})
    assert changed == Record("memory", "a", 2)
    words = first[1].value
    assert Chance(words, *batch.value).generator().getstate() == rng.getstate()
