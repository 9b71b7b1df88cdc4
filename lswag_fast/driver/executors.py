"""Where candidates are scored: one job over many architectures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any, Protocol

Job = Callable[[str], Any]
"""The text of an architecture -> what became of it."""


class Evaluator(Protocol):
    """Runs one job over many architectures."""

    @property
    def n_slots(self) -> int:
        """Architectures that are worked on at once."""

    def submit(self, arch_text: str) -> Future[Any]:
        """Start the job on an architecture."""

    def close(self) -> None:
        """Cancel what has not started."""


class InThisProcess:
    """Runs the job when an architecture is submitted; Ctrl-C comes out of `submit`."""

    n_slots = 1

    def __init__(self, job: Job) -> None:
        self._job = job

    def submit(self, arch_text: str) -> Future[Any]:
        """Run the job; the future is done."""
        future: Future[Any] = Future()
        try:
            future.set_result(self._job(arch_text))
        except Exception as error:  # travels in the future, as from any executor
            future.set_exception(error)
        return future

    def close(self) -> None:
        """Nothing is left to cancel."""


@contextmanager
def open_evaluator(job: Job, executor: Executor | None = None) -> Iterator[Evaluator]:
    """Run `job` over architectures in this process, and close when the block is left."""
    evaluator = InThisProcess(job)
    try:
        yield evaluator
    finally:
        evaluator.close()
