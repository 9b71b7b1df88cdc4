"""Where the seconds of a score go. Nothing is measured outside of `measured()`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_SECONDS: ContextVar[dict[str, float] | None] = ContextVar("seconds", default=None)


@contextmanager
def measured() -> Iterator[dict[str, float]]:
    """Yield a dictionary that holds the seconds of each part once the block has ended.

    A part inside another counts for itself alone. What runs in other threads is not seen: on a CUDA device that is the
    kernels, which are started in the backward and waited for later.

    Example:
        >>> with measured() as seconds, timed("backward"), timed("kernel"):
        ...     pass
        >>> sorted(seconds)
        ['backward', 'kernel']
    """
    seconds: dict[str, float] = {}
    token = _SECONDS.set(seconds)
    try:
        yield seconds
    finally:
        _SECONDS.reset(token)


@contextmanager
def timed(part: str) -> Iterator[None]:
    """Count the seconds of the block for a part, less those of the parts inside."""
    seconds = _SECONDS.get()
    if seconds is None:
        yield
        return
    inside, start = sum(seconds.values()), time.perf_counter()
    try:
        yield
    finally:
        inside = sum(seconds.values()) - inside
        seconds[part] = seconds.get(part, 0.0) + time.perf_counter() - start - inside
