"""Functions that were compiled run as they were written while a model is observed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


class _SharedSwitch:
    """torch's switch for the compiler, one for all threads: the first that needs it turns it, the last turns it back.

    Each thread giving back what it found would leave the compiler off for good where two of them overlap.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_users = 0
        self._turned = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._n_users == 0:
                self._turned.enter_context(torch.compiler.set_stance("force_eager"))
            self._n_users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._n_users -= 1
            if self._n_users == 0:
                self._turned.close()


_COMPILER_OFF = _SharedSwitch()


@contextmanager
def uncompiled() -> Iterator[None]:
    """Inside, what `torch.compile` made of a function runs the function itself.

    In all threads, until the last that is inside has left. A compiled function calls kernels of its own, in which no
    call on a weight and no activation is seen. Before torch 2.6 there is no switch for this: the compiler then follows
    the observer as far as it can.

    Example:
        >>> doubled = torch.compile(lambda x: x + x)
        >>> with uncompiled():
        ...     doubled(torch.ones(2))
        tensor([2., 2.])
    """
    dynamo = sys.modules.get("torch._dynamo")  # absent: nothing was compiled, and its import takes seconds
    if dynamo is None or not hasattr(torch.compiler, "set_stance"):
        yield
        return
    with _COMPILER_OFF:
        yield
