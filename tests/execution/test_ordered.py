"""Results in the order of the work, and how far ahead of it the work is begun."""

from __future__ import annotations

import threading

from execution.by_hand import ByHand, finish
from execution.jobs import shout
from lswag_fast.execution import open_runner, run_in_order

ARGUMENTS = ["a", "bb", "ccc", "dddd"]


def test_in_this_process_one_is_finished_before_the_next_is_begun() -> None:
    seen: list[str] = []

    def work():
        for argument in ARGUMENTS:
            seen.append(f"drawn {argument}")
            yield argument, argument

    with open_runner(shout) as runner:
        for argument, _ in run_in_order(runner, work()):
            seen.append(f"told {argument}")
    assert seen == [f"{what} {argument}" for argument in ARGUMENTS for what in ("drawn", "told")]


def test_no_more_run_than_there_are_slots_and_few_wait_for_an_earlier_one() -> None:
    executor = ByHand()
    told: list[int] = []

    def tell_all() -> None:
        with open_runner(shout, executor) as runner:
            told.extend(tag for tag, _ in run_in_order(runner, ((number, "a") for number in range(20))))

    thread = threading.Thread(target=tell_all)
    thread.start()
    # The first one stays, and each other one is finished as soon as it is there: 4 a slot may wait for the first.
    for number in range(1, 8):
        while len(executor.futures) <= number:
            pass
        assert sum(not future.done() for future in executor.futures) <= 2
        finish(executor.futures[number])
    thread.join(0.2)
    assert (len(executor.futures), told) == (8, [])
    finish(executor.futures[0])
    for number in range(8, 20):
        while len(executor.futures) <= number:
            pass
        finish(executor.futures[number])
    thread.join()
    assert told == list(range(20))
