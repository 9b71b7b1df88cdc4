"""Where candidates are scored: one job over many architectures, in this process or through an executor.

The seam is `concurrent.futures.Executor`: `WorkerProcesses` on this machine, a client of dask.distributed on a cluster,
or any other one.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol, TypeVar

from lswag_fast.errors import ExecutorError, InputError
from lswag_fast.execution.warning_relay import WarningRecorder, shown
from lswag_fast.execution.workers import WorkerProcesses

Job = Callable[[str], Any]
"""The text of an architecture -> what became of it. For workers it is pickled; what it raises is the future's error."""

Tag = TypeVar("Tag")

# Results that may wait for an earlier one, a slot: what a killed driver loses is bounded, and no slot idles before.
_WAITING_PER_SLOT = 4
# Torch's random state and number of threads are one a process: its candidates take turns.
_ONE_A_PROCESS = threading.Lock()


class Evaluator(Protocol):
    """Runs one job over many architectures."""

    @property
    def n_slots(self) -> int:
        """Architectures that are worked on at once; may change while a cluster grows or shrinks."""

    def submit(self, arch_text: str) -> Future[Any]:
        """Start the job on an architecture."""

    def close(self) -> None:
        """Cancel what has not started. What runs is left to the executor, which belongs to whoever made it."""


@contextmanager
def open_evaluator(job: Job, executor: Executor | None = None) -> Iterator[Evaluator]:
    """Run `job` over architectures with an executor, and close when the block is left.

    Args:
        job: what to do with an architecture; one that runs in other processes is pickled.
        executor: None runs each architecture in this process, when it is submitted. `WorkerProcesses` and a
            dask.distributed client (or its `get_executor()`) are sent the job once a process, also those that replace
            a lost one or join later, and run an architecture again when its process is lost. Any other executor is
            sent the job with every architecture, and what it loses is its own affair.

    Raises:
        InputError: the job cannot be pickled.
        ExecutorError: the executor is a client without a connection.
    """
    evaluator = _evaluator(job, executor)
    try:
        yield evaluator
    finally:
        evaluator.close()


def in_order(evaluator: Evaluator, work: Iterable[tuple[Tag, str]]) -> Iterator[tuple[Tag, Future[Any]]]:
    """Submit architectures as slots become free and yield their finished futures in the order of `work`.

    What the job warned of elsewhere is warned of here, before its future is yielded.

    Args:
        evaluator: where they run.
        work: pairs of whatever belongs to an architecture, and its text; drawn only when a slot is free.
    """
    started: deque[tuple[Tag, Future[Any]]] = deque()
    for tag, arch_text in work:
        started.append((tag, evaluator.submit(arch_text)))
        while not _has_room(evaluator, started):
            yield from _finished_head(started)
    while started:
        yield from _finished_head(started)


def _has_room(evaluator: Evaluator, started: deque[tuple[Tag, Future[Any]]]) -> bool:
    if started and started[0][1].done():
        return False  # told before more is begun: with one slot, this is one after the other
    n_slots = evaluator.n_slots
    running = sum(not future.done() for _, future in started)
    return running < n_slots and len(started) < _WAITING_PER_SLOT * n_slots


def _finished_head(started: deque[tuple[Tag, Future[Any]]]) -> Iterator[tuple[Tag, Future[Any]]]:
    """Wait until anything is finished, and yield those at the head that are."""
    wait([future for _, future in started if not future.done()], return_when=FIRST_COMPLETED)
    while started and started[0][1].done():
        tag, future = started.popleft()
        yield tag, shown(future)


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


class _Submitted:
    """Keeps the futures that are not done, to cancel them."""

    def __init__(self) -> None:
        self._futures: set[Future[Any]] = set()

    def add(self, future: Future[Any]) -> Future[Any]:
        """Keep a future until it is done; return it."""
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return future

    def close(self) -> None:
        """Cancel what has not started."""
        for future in list(self._futures):
            future.cancel()


class InWorkers(_Submitted):
    """Runs the job in worker processes; each is sent it once."""

    def __init__(self, job: Job, workers: WorkerProcesses) -> None:
        super().__init__()
        self.n_slots = workers.n_workers
        self._workers = workers
        self._job = workers.send(job)

    def submit(self, arch_text: str) -> Future[Any]:
        """Give the architecture to the next free worker."""
        return self.add(self._workers.submit_to(self._job, arch_text))


class InExecutor(_Submitted):
    """Runs the job in an executor about which nothing is known."""

    def __init__(self, job: Job, executor: Executor) -> None:
        super().__init__()
        self.n_slots: int = getattr(executor, "_max_workers", None) or os.cpu_count() or 1
        self._job = job
        self._executor = executor

    def submit(self, arch_text: str) -> Future[Any]:
        """Give the architecture, and the job, to the executor."""
        return self.add(self._executor.submit(run_alone, self._job, arch_text))


def run_alone(job: Job, arch_text: str) -> Any:
    """Run a job when no other one runs in this process."""
    with _ONE_A_PROCESS:
        return job(arch_text)


def _evaluator(job: Job, executor: Executor | None) -> Evaluator:
    if executor is None:
        return InThisProcess(job)
    job = WarningRecorder(job)
    if isinstance(executor, WorkerProcesses):
        return InWorkers(job, executor)
    # Whoever has a client has imported distributed; nobody else pays for it.
    if "distributed" in sys.modules:
        from lswag_fast.execution.dask_cluster import InCluster, client_of

        client = client_of(executor)
        if client is not None:
            return InCluster(job, client)
    return InExecutor(job, executor)


@contextmanager
def chosen_executor(n_workers: int = 1, dask_address: str | None = None) -> Iterator[Executor | None]:
    """Make the executor that a command line names, and end it when the block is left.

    Args:
        n_workers: worker processes on this machine; 1 is this process (None).
        dask_address: of a scheduler of dask.distributed; then `n_workers` has to be 1.

    Raises:
        InputError: both are given.
        ExecutorError: dask.distributed is not installed, no scheduler answers, or it has no worker.
    """
    if dask_address is None:
        with WorkerProcesses(n_workers) if n_workers > 1 else nullcontext() as executor:
            yield executor
        return
    if n_workers > 1:
        raise InputError("candidates run either in workers of this machine or on a Dask cluster; choose one")
    try:
        from lswag_fast.execution.dask_cluster import connected
    except ImportError as error:
        raise ExecutorError(
            f"a Dask cluster needs dask.distributed: pip install 'lswag-fast[dask]' ({error})"
        ) from error
    with connected(dask_address) as executor:
        yield executor
