"""Ctrl-C and SIGTERM: remembered once, raised the second time, and put back."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from lswag_fast.execution import Interrupts


@pytest.fixture(autouse=True)
def usual_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_is_remembered_and_the_second_raised(number: signal.Signals) -> None:
    said: list[signal.Signals] = []
    with pytest.raises(KeyboardInterrupt), Interrupts(said.append) as interrupts:
        assert interrupts.received is None
        signal.raise_signal(number)
        assert interrupts.received == number
        signal.raise_signal(number)
    assert said == [number]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_the_handler_of_somebody_else_is_left_alone() -> None:
    seen: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGTERM)
    assert (seen, interrupts.received) == ([signal.SIGTERM], None)


def test_another_thread_leaves_the_handlers_alone() -> None:
    seen: list[object] = []

    def look() -> None:
        with Interrupts():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


@pytest.mark.parametrize(("number", "passed_on"), [(signal.SIGTERM, [signal.SIGTERM]), (signal.SIGINT, [])])
def test_a_sigterm_has_its_usual_effect_after_the_block(
    number: signal.Signals, passed_on: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[int] = []
    with Interrupts.passed_on() as interrupts:
        signal.raise_signal(number)
        assert interrupts.received == number
        monkeypatch.setattr(signal, "raise_signal", raised.append)
    assert raised == passed_on
