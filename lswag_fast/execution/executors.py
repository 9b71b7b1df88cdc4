"""Where jobs run: an executor by its number of workers or its address, and the runner that suits an executor.

The seam is `concurrent.futures.Executor`: `WorkerProcesses` on this machine, a client of dask.distributed on a cluster,
or any other one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, nullcontext

from lswag_fast.errors import ExecutorError, InputError
from lswag_fast.execution.runner import ExecutorRunner, Job, JobRunner, LocalRunner
from lswag_fast.execution.warning_relay import WarningRecorder
from lswag_fast.execution.workers import WorkerProcesses, WorkersRunner


@contextmanager
def open_executor(
    n_workers: int = 1, dask_address: str | None = None, timeout_s: float | None = None
) -> Iterator[Executor | None]:
    """Make an executor, and end it when the block is left.

    Args:
        n_workers: worker processes on this machine; 1 is this process (None).
        dask_address: of a scheduler of dask.distributed; then `n_workers` has to be 1.
        timeout_s: seconds that a job may run in a worker on this machine, which there is then always, since no other
            job can be ended; None for any number.

    Yields:
        The executor for `open_runner`; None for this process.

    Raises:
        InputError: two of the places are given, or a time limit for those of a cluster.
        ExecutorError: dask.distributed is not installed, no scheduler answers, or it has no worker.

    Example:
        >>> with open_executor(n_workers=1) as executor:
        ...     print(executor)
        None
    """
    if dask_address is None:
        needs_workers = n_workers > 1 or timeout_s is not None
        with WorkerProcesses(n_workers, timeout_s) if needs_workers else nullcontext() as executor:
            yield executor
        return
    if timeout_s is not None:
        raise InputError("a time limit is for workers of this machine; a Dask cluster does not end what it runs")
    if n_workers > 1:
        raise InputError("jobs run either in workers of this machine or on a Dask cluster; choose one")
    try:
        from lswag_fast.execution.dask_cluster import connected
    except ImportError as error:
        raise ExecutorError(
            f"a Dask cluster needs dask.distributed: pip install 'lswag-fast[dask]' ({error})"
        ) from error
    with connected(dask_address) as executor:
        yield executor


@contextmanager
def open_runner(job: Job, executor: Executor | None = None) -> Iterator[JobRunner]:
    """Make what runs `job` over many arguments in an executor, and close it when the block is left.

    Args:
        job: what to do with an argument; one that runs in other processes is pickled.
        executor: None runs each argument in this process, when it is submitted. `WorkerProcesses` and a
            dask.distributed client (or its `get_executor()`) are sent the job once per process, also those that replace
            a lost one or join later, and run an argument again when its process is lost. Any other executor is sent the
            job with every argument, and what it loses is its own affair.

    Raises:
        InputError: the job cannot be pickled.
        ExecutorError: the executor is a client without a connection.

    Example:
        >>> with open_runner(str.upper) as runner:
        ...     runner.submit("a").result()
        'A'
    """
    runner = _runner(job, executor)
    try:
        yield runner
    finally:
        runner.close()


def _runner(job: Job, executor: Executor | None) -> JobRunner:
    if executor is None:
        return LocalRunner(job)
    job = WarningRecorder(job)
    if isinstance(executor, WorkerProcesses):
        return WorkersRunner(job, executor)
    # Whoever has a client has imported distributed; nobody else pays for it.
    if "distributed" in sys.modules:
        from lswag_fast.execution.dask_cluster import DaskRunner, client_of

        client = client_of(executor)
        if client is not None:
            return DaskRunner(job, client)
    return ExecutorRunner(job, executor)
