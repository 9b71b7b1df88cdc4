"""Worker processes on this machine, as an executor of `concurrent.futures`."""

from __future__ import annotations

import atexit
import multiprocessing
import pickle
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any

from lswag_fast.errors import ExecutorError, InputError, WorkerLostError
from lswag_fast.execution.worker import CALL, JOB, READY, RESULT, serve

ATTEMPTS = 3
"""Runs of a call whose process ends each time, before it fails."""

# Seconds between two looks at whether a silent process is still there (a pipe that closes is noticed at once).
_LOOK_S = 0.2
# Seconds that an idle process has to end by itself.
_GRACE_S = 5.0
_SPAWN = multiprocessing.get_context("spawn")
_STARTING = threading.Lock()


@dataclass(frozen=True, eq=False)
class SentJob:
    """A job ready to be sent; the same object is the same job."""

    content: bytes = field(repr=False)


class WorkerTraceback(Exception):  # noqa: N818  (it is the cause of an error, never raised by itself)
    """Where in the worker process an error was raised; its text is the traceback."""


@dataclass(frozen=True)
class _Call:
    future: Future[Any]
    content: bytes
    job: SentJob | None


class WorkerProcesses(Executor):
    """Runs calls in `n_workers` spawned processes, each one call at a time.

    A process that ends in the middle of a call (killed, out of memory) is replaced and the call is run again, at most
    `ATTEMPTS` times in all; then its future has a `WorkerLostError` and the other calls go on. When not even a new
    process comes up, the futures have an `ExecutorError`. Processes are started when there is work for them, ignore
    Ctrl-C, and end when this process does, however it ends.

    Leaving the `with` block waits for all calls; leaving it by an exception stops the processes at once.

    Functions and arguments are pickled, so a function has to be at the top level of a module, and a script that is run
    starts its work under `if __name__ == "__main__":`.

    Raises:
        InputError: n_workers is below 1.
    """

    def __init__(self, n_workers: int) -> None:
        if n_workers < 1:
            raise InputError(f"n_workers must be at least 1; found {n_workers}")
        self.n_workers = n_workers
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._slots = [_Slot(self._calls) for _ in range(n_workers)]
        self._lock = threading.Lock()
        self._closed = False
        atexit.register(self.terminate)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Schedule `fn(*args, **kwargs)`.

        Raises:
            InputError: the function or an argument cannot be pickled.
            RuntimeError: after `shutdown`.
        """
        return self._add(_pickled((fn, args, kwargs), fn), None)

    def submit_to(self, job: SentJob, argument: Any) -> Future[Any]:
        """Schedule `job(argument)`, for a job of `send`; a process is sent the job when it has another one or none."""
        return self._add(_pickled((None, (argument,), {}), argument), job)

    @staticmethod
    def send(job: Callable[[Any], Any]) -> SentJob:
        """Make a job ready to be sent to the processes; each is sent it once, however many calls follow.

        Raises:
            InputError: it cannot be pickled.
        """
        return SentJob(_pickled(job, job))

    def _add(self, content: bytes, job: SentJob | None) -> Future[Any]:
        future: Future[Any] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule calls after shutdown of the worker processes")
            self._calls.put(_Call(future, content, job))
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
            slot.join(2 * _GRACE_S)

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


class _Slot:
    """A thread that takes calls, and the process that it hands them to: at most one at a time.

    One process a slot, not one pool for all: when a process ends, the call that it was running is known.
    """

    def __init__(self, calls: SimpleQueue[_Call | None]) -> None:
        self.ending = False
        self._calls = calls
        self._thread = threading.Thread(target=self._run, name="lswag-fast slot", daemon=True)
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._holds: SentJob | None = None
        self._ended_with = ""

    def start_once(self) -> None:
        if self._thread.ident is None:
            self._thread.start()

    def join(self, timeout: float | None = None) -> None:
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            if call.future.set_running_or_notify_cancel():
                try:
                    kind, content = self._outcome(call)
                    _settle(call.future, kind, content)
                except Exception as error:
                    call.future.set_exception(error)
        self._let_go(0 if self.ending else _GRACE_S)

    def _outcome(self, call: _Call) -> tuple[bytes, bytes]:
        was_ready = False
        for _ in range(ATTEMPTS):
            try:
                connection = self._ready_connection()
                was_ready = True
                return self._answer(connection, call)
            except (EOFError, OSError) as error:
                self._let_go(0 if self.ending else _GRACE_S, error)
            if self.ending:
                raise ExecutorError("the worker processes were stopped before this call had ended")
        if was_ready:
            raise WorkerLostError(f"its worker process ended {ATTEMPTS} times; the last time {self._ended_with}")
        raise ExecutorError(
            f"no worker process could be started: {self._ended_with}; what it said is on stderr. A script that is run "
            'starts workers under `if __name__ == "__main__":`'
        )

    def _ready_connection(self) -> Connection:
        if self._connection is not None and self._process is not None and self._process.is_alive():
            return self._connection
        self._let_go(0)
        self._connection, theirs = _SPAWN.Pipe()
        with theirs:
            process = _SPAWN.Process(target=serve, args=(theirs,), name="lswag-fast worker")
            with _STARTING:
                _start_without_ctrl_c(process)
            self._process = process
        if self._received(self._connection) != READY:
            raise EOFError("it did not say that it is ready")
        return self._connection

    def _answer(self, connection: Connection, call: _Call) -> tuple[bytes, bytes]:
        if call.job is not None and call.job is not self._holds:
            self._holds = None
            connection.send_bytes(JOB)
            connection.send_bytes(call.job.content)
            self._holds = call.job
        connection.send_bytes(CALL)
        connection.send_bytes(call.content)
        return self._received(connection), self._received(connection)

    def _received(self, connection: Connection) -> bytes:
        """The next message; EOFError when the process is gone or has to go."""
        while not connection.poll(_LOOK_S):
            # What a process started itself may keep the pipe open after its end.
            gone = self._process is None or not self._process.is_alive()
            if self.ending or (gone and not connection.poll(0)):
                raise EOFError("the process is gone")
        return connection.recv_bytes()

    def _let_go(self, grace_s: float, error: Exception | None = None) -> None:
        """Close the pipe, on which a process ends, and kill it if it does not; remember how it ended."""
        self._ended_with, self._holds = str(error or ""), None
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.join(grace_s)
            if self._process.exitcode is None:
                self._process.kill()
            self._process.join()
            self._ended_with = _how(self._process.exitcode)
            self._process.close()
        self._process = self._connection = None


def _start_without_ctrl_c(process: SpawnProcess) -> None:
    """Start it with Ctrl-C blocked, which it inherits, so that none can end it before it has learned to ignore it."""
    resource_tracker.ensure_running()  # by the first start otherwise, which then unblocks Ctrl-C
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    process.start()


def _settle(future: Future[Any], kind: bytes, content: bytes) -> None:
    """Set the result or the error that a process sent."""
    if kind == RESULT:
        future.set_result(pickle.loads(content))
        return
    error, trace = pickle.loads(content)
    error.__cause__ = WorkerTraceback(f"\n{trace}")
    future.set_exception(error)


def _pickled(what: Any, named: Any) -> bytes:
    try:
        return pickle.dumps(what)
    except Exception as error:  # what an object's own pickling raises is of any kind
        raise InputError(
            f"{named!r} cannot be sent to a worker process: {error}; a function has to be at the top level of a module"
        ) from error


def _cancel_all(calls: SimpleQueue[_Call | None]) -> None:
    while True:
        try:
            call = calls.get_nowait()
        except Empty:
            return
        if call is not None:
            call.future.cancel()
            call.future.set_running_or_notify_cancel()


def _how(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"by {signal.Signals(-exit_code).name}"
    return f"with exit code {exit_code}"
