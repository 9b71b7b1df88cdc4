"""A cluster of dask.distributed as the place where jobs run. Needs the extra `dask`; imported late."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor, Future
from contextlib import contextmanager, suppress
from typing import Any

import cloudpickle
from distributed import Client, KilledWorker, Worker, WorkerPlugin, get_worker
from distributed.cfexecutor import ClientExecutor
from distributed.comm.addressing import parse_address
from distributed.comm.registry import backends

from lswag_fast.errors import ExecutorError, WorkerLostError
from lswag_fast.execution.runner import Job, run_alone

# Seconds that a scheduler has to answer.
CONNECT_S = 10
# Seconds that its first worker has to come.
FIRST_WORKER_S = 30
_LAST_PORT = 65535
_IN_PROCESS = "inproc"  # its addresses have no port
# Seconds between two counts of the workers.
_COUNT_S = 1.0


@contextmanager
def connected(address: str) -> Iterator[Executor]:
    """Connect to the scheduler at `address`, such as `tcp://10.0.0.1:8786`, and leave it when the block is left.

    Raises:
        ExecutorError: the address is none, no scheduler answers, or it has no worker.
    """
    _check_address(address)
    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ExecutorError(
            f"no Dask scheduler answers at {address} ({_line(error)}); start one with `dask scheduler`"
        ) from error
    try:
        _wait_for_a_worker(client, address)
        yield client.get_executor()
    finally:
        client.close(timeout=CONNECT_S)


def _check_address(address: str) -> None:
    """Refuse what no scheduler can be reached at, which dask would try to reach all the same."""
    scheme, host_and_port = parse_address(address) if "://" in address else ("tcp", address)
    host, _, port = host_and_port.rpartition(":")
    is_port = port.isascii() and port.isdigit() and 0 < int(port) <= _LAST_PORT
    if scheme not in backends or not (scheme == _IN_PROCESS or (host and is_port)):
        raise ExecutorError(
            f"{address!r} is no address of a Dask scheduler; write tcp://HOST:PORT, as `dask scheduler` shows it"
        )


def _wait_for_a_worker(client: Client, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=FIRST_WORKER_S)
    except TimeoutError as error:
        raise ExecutorError(
            f"the Dask scheduler at {address} has no workers; start some with `dask worker {address} --nthreads 1`"
        ) from error


def client_of(executor: Executor | Client) -> Client | None:
    """Return the client behind an executor, or None when there is none."""
    if isinstance(executor, ClientExecutor):
        executor = executor._client
    return executor if isinstance(executor, Client) else None


class DaskRunner:
    """Runs a job in the workers of a cluster, one argument at a time in each process.

    The job is sent once to each worker, as a plugin: the scheduler keeps it for workers that join later, or again.
    Scattered data would be gone with the last worker that held it.

    Raises:
        ExecutorError: the client has no connection.
    """

    def __init__(self, job: Job, client: Client) -> None:
        self._client = client
        self._name = f"lswag-fast-{uuid.uuid4().hex}"
        self._running: dict[Future[Any], Any] = {}
        self._counted = float("-inf")
        self._n_slots = 1
        self._check_connection()
        client.register_plugin(_SentJob(cloudpickle.dumps(job)), name=self._name)

    @property
    def n_slots(self) -> int:
        """Number of workers, as of the last second."""
        if time.monotonic() - self._counted > _COUNT_S and self._client.status == "running":
            self._n_slots = max(1, len(self._client.nthreads()))
            self._counted = time.monotonic()
        return self._n_slots

    def submit(self, argument: str) -> Future[Any]:
        """Run the job on an argument in some worker.

        Raises:
            ExecutorError: the connection is lost.
        """
        self._check_connection()
        future: Future[Any] = Future()
        task = self._client.submit(_run, self._name, argument, pure=False)
        self._running[future] = task  # a task that nobody holds is forgotten by the scheduler
        task.add_done_callback(lambda done: self._resolve(future, done))
        return future

    def close(self) -> None:
        """Cancel what runs and take the job from the workers, without waiting."""
        tasks = list(self._running.values())
        for future in list(self._running):
            future.cancel()
        if self._client.status == "running":
            with suppress(OSError):  # the scheduler may be gone by now, and the job with it
                self._client.cancel(tasks)
                self._client.unregister_worker_plugin(self._name)

    def _resolve(self, future: Future[Any], task: Any) -> None:
        """Hand over what became of a task (in dask's thread of callbacks)."""
        result: Any = None
        error: Exception | None = None
        try:
            result = task.result()
        except KilledWorker as killed:
            error = WorkerLostError(f"its worker process ended {killed.allowed_failures + 1} times")
        except (CancelledError, asyncio.CancelledError) as cancelled:
            error = ExecutorError(f"the connection to the Dask scheduler was lost: {_line(cancelled)}")
        except Exception as raised:
            error = raised
        self._running.pop(future, None)
        if not future.set_running_or_notify_cancel():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def _check_connection(self) -> None:
        if self._client.status != "running":
            raise ExecutorError(f"there is no connection to the Dask scheduler: the client is {self._client.status}")


class _SentJob(WorkerPlugin):
    """A job in a worker, read when it is first called, so that its failure is that of a call."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._job: Job | None = None

    def setup(self, worker: Worker) -> None:
        """Nothing: the worker has the bytes."""

    def __call__(self, argument: str) -> Any:
        if self._job is None:
            self._job = cloudpickle.loads(self._content)
            self._content = b""
        return self._job(argument)


def _run(name: str, argument: str) -> Any:
    return run_alone(get_worker().plugins[name], argument)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
