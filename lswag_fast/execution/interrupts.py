"""Ctrl-C and SIGTERM: the first asks a run to stop, the second stops it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

# What Python does with them if nobody chose otherwise. Whoever did is not overruled: a program with a plan of its own,
# or `nohup`, under which Ctrl-C is ignored.
_USUAL: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}


class Interrupts:
    """Inside the block, the first Ctrl-C or SIGTERM is only remembered; a further one raises `KeyboardInterrupt`.

    Handlers are installed in the main thread only, where Python runs them, and in place of Python's own only; they are
    put back when the block is left.

    Args:
        on_first: called with the signal when the first one comes, from inside the signal handler.

    Attributes:
        received: the first signal that came; None before.

    Example:
        >>> with Interrupts() as interrupts:
        ...     signal.raise_signal(signal.SIGTERM)  # the system asks the program to end
        >>> interrupts.received.name
        'SIGTERM'
    """

    def __init__(self, on_first: Callable[[signal.Signals], None] | None = None) -> None:
        self.received: signal.Signals | None = None
        self._on_first = on_first
        self._before: dict[signal.Signals, Any] = {}

    @classmethod
    @contextmanager
    def passed_on(cls) -> Iterator[Interrupts]:
        """Like the block of an `Interrupts`, after which a SIGTERM that came has its usual effect: the process ends."""
        with cls() as interrupts:
            yield interrupts
        if interrupts.received == signal.SIGTERM:
            signal.raise_signal(signal.SIGTERM)

    def __enter__(self) -> Interrupts:
        """Install the handlers."""
        if threading.current_thread() is threading.main_thread():
            for number, usual in _USUAL.items():
                if signal.getsignal(number) == usual:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put back what was there."""
        while self._before:
            signal.signal(*self._before.popitem())

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = signal.Signals(number)
        if self._on_first is not None:
            self._on_first(self.received)
