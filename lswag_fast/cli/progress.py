"""Progress on stderr: a bar on a terminal, else a plain line now and then."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lswag_fast.cli.console import ERR, say

# Seconds between two plain lines: a night's log stays readable.
PLAIN_LINE_S = 30.0


class SearchProgress:
    """A context manager and, inside it, a callback of `search()`.

    Args:
        n_trials: trials in total.
        plain_line_s: seconds between two lines where stderr is no terminal.
    """

    def __init__(self, n_trials: int, plain_line_s: float = PLAIN_LINE_S) -> None:
        self.n_trials = n_trials
        self.plain_line_s = plain_line_s
        self.start = self.last_line = time.monotonic()
        self.bar = Progress(
            TextColumn("searching"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[found]}"),
            TimeRemainingColumn(),
            console=ERR,
            disable=not ERR.is_terminal,
        )
        self.task = self.bar.add_task("", total=n_trials, found="")

    def __enter__(self) -> SearchProgress:
        """Start the bar and the clock."""
        self.start = self.last_line = time.monotonic()
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar as it stands."""
        self.bar.stop()

    def __call__(self, study: Any, trial: Any) -> None:
        """Count one finished trial."""
        done, now = trial.number + 1, time.monotonic()
        best = "no score yet" if study.best is None else f"best {study.best.score:.6g} (trial {study.best.number})"
        found = f"{best}, {60 * done / max(now - self.start, 1e-9):.1f} trials/min"
        self.bar.update(self.task, completed=done, found=found)
        if not ERR.is_terminal and now - self.last_line >= self.plain_line_s:
            self.last_line = now
            say(f"{done}/{self.n_trials} trials, {found}", ERR)


class CountProgress:
    """A context manager and, inside it, a callback `(done, total)`.

    Args:
        what: what is being done, in a word.
        plain_line_s: seconds between two lines where stderr is no terminal.
    """

    def __init__(self, what: str, plain_line_s: float = PLAIN_LINE_S) -> None:
        self.what = what
        self.plain_line_s = plain_line_s
        self.last_line = time.monotonic()
        columns = TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        self.bar = Progress(*columns, console=ERR, disable=not ERR.is_terminal)
        self.task = self.bar.add_task("", total=None)

    def __enter__(self) -> CountProgress:
        """Start the bar."""
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar as it stands."""
        self.bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """Count one more that is done."""
        self.bar.update(self.task, completed=done, total=total)
        now = time.monotonic()
        if not ERR.is_terminal and now - self.last_line >= self.plain_line_s:
            self.last_line = now
            say(f"{self.what}: {done}/{total}", ERR)
