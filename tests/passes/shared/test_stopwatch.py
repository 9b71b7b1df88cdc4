"""Where the seconds go: parts inside others, and nothing outside of the block."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lswag_fast.passes.shared.stopwatch import measured, timed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    yield now


def test_a_part_inside_another_counts_for_itself_alone(clock: list[float]) -> None:
    with measured() as seconds:
        for _ in range(2):
            with timed("backward"):
                clock[0] += 1
                with timed("kernel"):
                    clock[0] += 4
                clock[0] += 2
        clock[0] += 100
        with timed("forward"), pytest.raises(ZeroDivisionError), timed("kernel"):
            clock[0] += 8
            raise ZeroDivisionError
    assert seconds == {"backward": 6, "kernel": 16, "forward": 0}


def test_nothing_is_counted_outside(clock: list[float]) -> None:
    with measured() as seconds:
        pass
    with timed("forward"):
        clock[0] += 1
    assert seconds == {}
