"""Warnings of a job that runs elsewhere, shown where whoever waits for its result can see them."""

from __future__ import annotations

import warnings
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from lswag_fast.errors import LswagWarning, warn
from lswag_fast.execution.runner import Job


@dataclass(frozen=True)
class ResultWithWarnings:
    """A result, and the warnings on the way to it: the text of each, and the file and line where it was found."""

    result: Any
    warnings: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True)
class WarningRecorder:
    """A job whose warnings of this package travel with its result; others are shown where they come up.

    Attributes:
        job: the job itself.
    """

    job: Job

    def __call__(self, argument: str) -> Any:
        """Return the result, or a `ResultWithWarnings` where there were warnings; raises what the job raises."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", LswagWarning)
            result = self.job(argument)
        ours = []
        for warning in caught:
            if issubclass(warning.category, LswagWarning):
                found_at = getattr(warning.message, "place", None)
                ours.append((str(warning.message), *(found_at or (warning.filename, warning.lineno))))
            else:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        return ResultWithWarnings(result, tuple(ours)) if ours else result


def without_warnings(future: Future[Any]) -> Future[Any]:
    """Issue the warnings that came with the result of a finished future; return one with the result alone."""
    if future.cancelled() or future.exception() is not None or not isinstance(future.result(), ResultWithWarnings):
        return future
    recorded: ResultWithWarnings = future.result()
    for text, filename, line in recorded.warnings:
        warn(text, (filename, line))
    plain: Future[Any] = Future()
    plain.set_result(recorded.result)
    return plain
