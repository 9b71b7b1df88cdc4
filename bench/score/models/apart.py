"""Measurements in forked children, so that one that fails or hangs costs its own row only."""

from __future__ import annotations

import ctypes
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

Row = dict[str, Any]
_M_MMAP_THRESHOLD = -3  # of mallopt(3)
_RETURNED_FROM = 2**16  # see RETURN_MEMORY of bench.score.run, which acts on whole processes


def apart(measure: Callable[[], Row], limit_s: float) -> Row:
    """What `measure` returns in a child of its own, or {"error": why it returned nothing}.

    A fork has the libraries at once, and an allocator that no measurement has used before.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_send, args=(measure, sender))
    child.start()
    sender.close()
    try:
        if not receiver.poll(limit_s):
            return {"error": f"no result within {limit_s:g} s"}
        row: Row = receiver.recv()
        return row
    except EOFError:
        child.join()
        return {"error": f"the process ended with exit code {child.exitcode}"}
    finally:
        child.kill()
        child.join()


def return_memory() -> None:
    """Have glibc give a freed tensor back at once, in this process: the peak is then what lives at one time."""
    ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _RETURNED_FROM)


def _send(measure: Callable[[], Row], sender: Connection) -> None:
    try:
        row = measure()
    except Exception as error:  # whatever a library's model raises is what its row says
        row = {"error": " ".join(f"{type(error).__name__}: {error}".split())}
    sender.send(row)
