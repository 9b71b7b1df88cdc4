"""Worker processes on this machine, as an executor of `concurrent.futures`."""

from __future__ import annotations

import atexit
import math
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any

from lswag_fast.errors import InputError
from lswag_fast.execution.runner import Job, OpenFutures
from lswag_fast.execution.worker_slot import GRACE_S, Call, SentJob, Slot

# Characters of what an object says of itself, which may be all of a batch.
_SHOWN = 200
MAX_WORKERS = 1024
"""More processes than one machine can be asked for: each holds torch."""


class WorkerProcesses(Executor):
    """Runs calls in `n_workers` spawned processes, each one call at a time.

    A process that ends in the middle of a call (killed, out of memory) is replaced and the call is run again, at most
    `ATTEMPTS` times in all; then its future has a `WorkerLostError` and the other calls continue. When not even a new
    process comes up, the futures have an `ExecutorError`. Processes are started when there is work for them, ignore
    Ctrl-C, and end when this process does, however it ends.

    Leaving the `with` block waits for all calls; leaving it by an exception stops the processes at once.

    Functions and arguments are pickled, so a function has to be at the top level of a module, and a script that is run
    starts its work under `if __name__ == "__main__":`.

    Args:
        n_workers: how many.
        timeout_s: seconds that a call may run; one that takes longer has a `JobTimeoutError`, is not run again, and its
            process is replaced. None for any number.

    Raises:
        InputError: n_workers is not from 1 to 1,024, or timeout_s is not above 0.

    Example:
        >>> with WorkerProcesses(2) as workers:
        ...     workers.submit(pow, 2, 10).result()
        1024
    """

    def __init__(self, n_workers: int, timeout_s: float | None = None) -> None:
        if not 1 <= n_workers <= MAX_WORKERS:
            raise InputError(f"n_workers must be from 1 to {MAX_WORKERS:,}; found {n_workers}")
        if timeout_s is not None and not 0 < timeout_s < math.inf:
            raise InputError(f"timeout_s must be above 0 seconds; found {timeout_s}")
        self.n_workers = n_workers
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        self._slots = [Slot(self._calls, timeout_s) for _ in range(n_workers)]
        self._lock = threading.Lock()
        self._closed = False
        atexit.register(self.terminate)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Schedule `fn(*args, **kwargs)`.

        Raises:
            InputError: the function or an argument cannot be pickled.
            RuntimeError: after `shutdown`.
        """
        return self._add(_pickled((fn, args, kwargs), repr(fn)), None)

    def submit_to(self, job: SentJob, argument: Any) -> Future[Any]:
        """Schedule `job(argument)`, for a job of `send`; a process is sent the job when it has another one or none."""
        return self._add(_pickled((None, (argument,), {}), f"an argument of type {type(argument).__name__}"), job)

    @staticmethod
    def send(job: Callable[[Any], Any]) -> SentJob:
        """Make a job ready to be sent to the processes; each is sent it once, however many calls follow.

        Raises:
            InputError: it cannot be pickled.
        """
        return SentJob(_pickled(job, "the job"))

    def _add(self, content: bytes, job: SentJob | None) -> Future[Any]:
        future: Future[Any] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule calls after shutdown of the worker processes")
            self._calls.put(Call(future, content, job))
            for slot in self._slots:
                slot.start_once()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; the processes end after those there are, of which `cancel_futures` cancels the waiting.

        With `wait`, return when they have ended.
        """
        self._close(cancel_futures)
        if wait:
            for slot in self._slots:
                slot.join()

    def terminate(self) -> None:
        """Stop the processes in the middle of their calls; the futures of these have an `ExecutorError`."""
        for slot in self._slots:
            slot.ending = True
        self._close(cancel_futures=True)
        for slot in self._slots:
            slot.join(2 * GRACE_S)

    def _close(self, cancel_futures: bool) -> None:
        with self._lock:
            if cancel_futures:
                _cancel_all(self._calls)
            if not self._closed or cancel_futures:
                for _ in self._slots:
                    self._calls.put(None)
            self._closed = True
        atexit.unregister(self.terminate)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for all calls, or stop them when an exception leaves the block."""
        try:
            if kind is None:
                self.shutdown(wait=True)
        finally:
            self.terminate()


class WorkersRunner(OpenFutures):
    """Runs a job in worker processes; each is sent it once."""

    def __init__(self, job: Job, workers: WorkerProcesses) -> None:
        super().__init__()
        self.n_slots = workers.n_workers
        self._workers = workers
        self._job = workers.send(job)

    def submit(self, argument: str) -> Future[Any]:
        """Give the argument to the next free worker."""
        return self.add(self._workers.submit_to(self._job, argument))


def _pickled(what: Any, named: str) -> bytes:
    try:
        return pickle.dumps(what)
    except Exception as error:  # what an object's own pickling raises is of any kind
        raise InputError(
            f"{named[:_SHOWN]} cannot be sent to a worker process: {str(error)[:_SHOWN]}; "
            "a function has to be at the top level of a module"
        ) from error


def _cancel_all(calls: SimpleQueue[Call | None]) -> None:
    while True:
        try:
            call = calls.get_nowait()
        except Empty:
            return
        if call is not None:
            call.future.cancel()
            call.future.set_running_or_notify_cancel()
