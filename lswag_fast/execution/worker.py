"""What runs inside a worker process: it is sent a job once, and then one call after the other.

Messages are pairs of byte strings, a kind and its content. The job is kept as bytes until the first call that needs it,
so that a job that cannot be read fails that call, with its reason, and not the process.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from lswag_fast.execution.runner import aborted

JOB, CALL, READY, STARTED, RESULT, FAILURE = b"job", b"call", b"ready", b"started", b"result", b"failure"


def answer_calls(connection: Connection) -> None:
    """Answer calls until the parent process closes its end or is gone.

    Ctrl-C reaches every process of a terminal: the parent decides what it means, so that here it is ignored.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform != "win32":  # where it was not blocked, either
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = _Job()
    try:
        connection.send_bytes(READY)
        while True:
            kind, content = connection.recv_bytes(), connection.recv_bytes()
            if kind == JOB:
                job = _Job(content)
            else:
                for part in _answer(job, content, connection):
                    connection.send_bytes(part)
    except (EOFError, OSError):
        return


class _Job:
    """A job as it was sent, read when it is first called."""

    def __init__(self, content: bytes = b"") -> None:
        self._content = content
        self._call: Callable[[Any], Any] | None = None

    def read(self) -> Callable[[Any], Any]:
        if self._call is None:
            self._call = pickle.loads(self._content)
            self._content = b""
        return self._call


def _answer(job: _Job, content: bytes, connection: Connection) -> tuple[bytes, bytes]:
    """Run a call and return what became of it. That it starts is said first: its time is its own, without imports."""
    try:
        function, arguments, keywords = pickle.loads(content)
        function = function or job.read()
        connection.send_bytes(STARTED)
        return RESULT, pickle.dumps(function(*arguments, **keywords))
    except Exception as error:
        return FAILURE, _packed(error, traceback.format_exc())
    except BaseException as error:  # Ctrl-C is ignored here, so that it is the call's own
        return FAILURE, _packed(aborted(error), traceback.format_exc())


def _packed(error: Exception, trace: str) -> bytes:
    """The error and its traceback; in its place a RuntimeError of the same text where it cannot be sent."""
    try:
        content = pickle.dumps((error, trace))
        pickle.loads(content)  # an exception with arguments of its own may pickle and yet not unpickle
    except Exception:
        return pickle.dumps((RuntimeError(f"{type(error).__name__}: {error}"), trace))
    return content


def _end_with_parent() -> None:
    """A killed parent cannot stop its workers; none is left behind, whatever it is doing."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
