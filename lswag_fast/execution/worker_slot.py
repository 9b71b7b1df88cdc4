"""A slot for one worker process: hands it one call at a time, and replaces it when it ends in the middle of one."""

from __future__ import annotations

import math
import multiprocessing
import pickle
import signal
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from queue import SimpleQueue
from typing import Any

from lswag_fast.errors import ExecutorError, JobTimeoutError, WorkerLostError
from lswag_fast.execution.worker import CALL, JOB, READY, RESULT, STARTED, answer_calls

ATTEMPTS = 3
"""Runs of a call whose process ends each time, before it fails."""

GRACE_S = 5.0
"""Seconds that an idle process has to end by itself."""

# Seconds between two looks at whether a silent process is still there (a pipe that closes is noticed at once).
_LOOK_S = 0.2
_SPAWN = multiprocessing.get_context("spawn")
_STARTING = threading.Lock()


@dataclass(frozen=True, eq=False)
class SentJob:
    """A job ready to be sent; the same object is the same job."""

    content: bytes = field(repr=False)


class WorkerTraceback(Exception):  # noqa: N818  (it is the cause of an error, never raised by itself)
    """Where in the worker process an error was raised; its text is the traceback."""


@dataclass(frozen=True)
class Call:
    """A pickled call and who waits for it; of a job that was sent before, or of a function that travels with it."""

    future: Future[Any]
    content: bytes
    job: SentJob | None


class Slot:
    """A thread that takes calls, and the process that it hands them to: at most one at a time.

    One process per slot, not one pool for all: when a process ends, the call that it was running is known.

    Args:
        calls: where they come from; None ends the slot.
        timeout_s: seconds that a call may run, without the start of its process and its imports; None for any number.
    """

    def __init__(self, calls: SimpleQueue[Call | None], timeout_s: float | None = None) -> None:
        self.ending = False
        self._timeout_s = timeout_s
        self._calls = calls
        self._thread = threading.Thread(target=self._run, name="lswag-fast slot", daemon=True)
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._holds: SentJob | None = None
        self._ended_with = ""

    def start_once(self) -> None:
        """Start the thread if it does not run yet; the process is started by the first call."""
        if self._thread.ident is None:
            self._thread.start()

    def join(self, timeout: float | None = None) -> None:
        """Wait, at most `timeout` seconds, until thread and process have ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            if call.future.set_running_or_notify_cancel():
                try:
                    kind, content = self._outcome(call)
                    _resolve(call.future, kind, content)
                except Exception as error:
                    call.future.set_exception(error)
        self._let_go(0 if self.ending else GRACE_S)

    def _outcome(self, call: Call) -> tuple[bytes, bytes]:
        was_ready = False
        for _ in range(ATTEMPTS):
            try:
                connection = self._ready_connection()
                was_ready = True
                return self._answer(connection, call)
            except JobTimeoutError:  # it would take as long again
                self._let_go(0)
                raise
            except (EOFError, OSError) as error:
                self._let_go(0 if self.ending else GRACE_S, error)
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
            process = _SPAWN.Process(target=answer_calls, args=(theirs,), name="lswag-fast worker")
            with _STARTING:
                _start_without_ctrl_c(process)
            self._process = process
        if self._received(self._connection) != READY:
            raise EOFError("it did not say that it is ready")
        return self._connection

    def _answer(self, connection: Connection, call: Call) -> tuple[bytes, bytes]:
        if call.job is not None and call.job is not self._holds:
            self._holds = None
            connection.send_bytes(JOB)
            connection.send_bytes(call.job.content)
            self._holds = call.job
        connection.send_bytes(CALL)
        connection.send_bytes(call.content)
        kind = self._received(connection)
        if kind == STARTED:
            kind = self._received(connection, self._timeout_s)
        return kind, self._received(connection)

    def _received(self, connection: Connection, timeout_s: float | None = None) -> bytes:
        """The next message; EOFError when the process is gone or has to go, JobTimeoutError when it does not come."""
        end = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while not connection.poll(min(_LOOK_S, max(0.0, end - time.monotonic()))):
            if time.monotonic() >= end:
                raise JobTimeoutError(f"it took longer than {timeout_s:g} s, and its worker process was ended")
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
    if sys.platform != "win32":  # which has no such blocking, nor a tracker
        resource_tracker.ensure_running()  # by the first start otherwise, which then unblocks Ctrl-C
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    process.start()


def _resolve(future: Future[Any], kind: bytes, content: bytes) -> None:
    """Set the result or the error that a process sent."""
    if kind == RESULT:
        future.set_result(pickle.loads(content))
        return
    error, trace = pickle.loads(content)
    error.__cause__ = WorkerTraceback(f"\n{trace}")
    future.set_exception(error)


def _how(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"by {signal.Signals(-exit_code).name}"
    return f"with exit code {exit_code}"
