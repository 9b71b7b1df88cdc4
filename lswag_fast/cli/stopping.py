"""Ctrl-C and SIGTERM on the command line: what is said, and with which code the command ends."""

from __future__ import annotations

import os
import signal
import sys

from lswag_fast.execution.interrupts import Interrupts

# What a shell reports of a process that a signal ended.
_SIGNALLED = 128


def said_aloud() -> Interrupts:
    """Return `Interrupts` that says on stderr what the first signal does."""
    return Interrupts(on_first=_say_what_happens)


def exit_code(interrupts: Interrupts) -> int:
    """Return 130 after Ctrl-C and 143 after SIGTERM."""
    return _SIGNALLED + (interrupts.received or signal.SIGINT)


def _say_what_happens(number: signal.Signals) -> None:
    # Inside a signal handler: the main thread may be in the middle of writing through a buffer.
    text = f"\n{number.name}: stopping after the candidates that run; once more stops at once, and loses only those\n"
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, text.encode())
