"""Results in the order of the work, however many jobs run at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, TypeVar

from lswag_fast.execution.runner import JobRunner
from lswag_fast.execution.warning_relay import without_warnings

Tag = TypeVar("Tag")

# Results that may wait for an earlier one, per slot: what a killed run loses is bounded, and no slot idles before.
_WAITING_PER_SLOT = 4


def run_in_order(runner: JobRunner, work: Iterable[tuple[Tag, str]]) -> Iterator[tuple[Tag, Future[Any]]]:
    """Submit arguments as slots become free and yield their finished futures in the order of `work`.

    What the job warned of elsewhere is warned of here, before its future is yielded.

    Args:
        runner: where they run.
        work: pairs of whatever belongs to an argument, and the argument; drawn only when a slot is free.

    Example:
        >>> from lswag_fast.execution import open_runner
        >>> with open_runner(str.upper) as runner:
        ...     [(tag, future.result()) for tag, future in run_in_order(runner, [(1, "a"), (2, "b")])]
        [(1, 'A'), (2, 'B')]
    """
    started: deque[tuple[Tag, Future[Any]]] = deque()
    for tag, argument in work:
        started.append((tag, runner.submit(argument)))
        while not _has_room(runner, started):
            yield from _finished_head(started)
    while started:
        yield from _finished_head(started)


def _has_room(runner: JobRunner, started: deque[tuple[Tag, Future[Any]]]) -> bool:
    if started and started[0][1].done():
        return False  # yielded before more is begun: with one slot, this is one after the other
    n_slots = runner.n_slots
    running = sum(not future.done() for _, future in started)
    return running < n_slots and len(started) < _WAITING_PER_SLOT * n_slots


def _finished_head(started: deque[tuple[Tag, Future[Any]]]) -> Iterator[tuple[Tag, Future[Any]]]:
    """Wait until anything is finished, and yield those at the head that are."""
    wait([future for _, future in started if not future.done()], return_when=FIRST_COMPLETED)
    while started and started[0][1].done():
        tag, future = started.popleft()
        yield tag, without_warnings(future)
