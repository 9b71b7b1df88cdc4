"""Warnings of a job that runs elsewhere, shown where whoever waits for its result can see them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from lswag_fast.errors import LswagWarning


@dataclass(frozen=True)
class Warned:
    """A result, and the warnings on the way to it: text, file and line of each."""

    result: Any
    notes: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True)
class WarningRecorder:
    """A job whose warnings of this package travel with its result; others are shown where they come up.

    Attributes:
        job: an architecture's text -> what became of it.
    """

    job: Callable[[str], Any]

    def __call__(self, arch_text: str) -> Any:
        """Return the result, or a `Warned` where there were warnings; raises what the job raises."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", LswagWarning)
            result = self.job(arch_text)
        notes = []
        for warning in caught:
            if issubclass(warning.category, LswagWarning):
                notes.append((str(warning.message), warning.filename, warning.lineno))
            else:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        return Warned(result, tuple(notes)) if notes else result


def shown(future: Future[Any]) -> Future[Any]:
    """Give the warnings that came with the result of a finished future; return one with the result alone."""
    if future.cancelled() or future.exception() is not None or not isinstance(future.result(), Warned):
        return future
    warned: Warned = future.result()
    for text, filename, line in warned.notes:
        warnings.warn_explicit(text, LswagWarning, filename, line)
    plain: Future[Any] = Future()
    plain.set_result(warned.result)
    return plain
