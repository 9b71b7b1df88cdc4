"""An executor in which nothing happens until a test says so."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from typing import Any


class ByHand(Executor):
    """Two slots; each future is finished by `finish`."""

    _max_workers = 2

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.futures.append(Future())
        return self.futures[-1]


def finish(future: Future[Any]) -> None:
    future.set_running_or_notify_cancel()
    future.set_result(None)
