"""Progress on stderr: a bar on a terminal, else a plain line now and then."""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lswag_fast.cli.console import ERR, say
from lswag_fast.report.words import duration
from lswag_fast.study.trial import FAILED

# Seconds between two plain lines: a night's log stays readable.
PLAIN_LINE_S = 30.0
# Trials that the speed is taken from.
RATE_WINDOW = 64


class SearchProgress:
    """A context manager and, inside it, a callback of `search()`.

    Args:
        n_trials: trials in total.
        plain_line_s: seconds between two lines where stderr is no terminal.
    """

    def __init__(self, n_trials: int, plain_line_s: float = PLAIN_LINE_S) -> None:
        self.n_trials = n_trials
        self.n_failed = 0
        self.plain_line_s = plain_line_s
        self.start = self.last_line = time.monotonic()
        # When how many were done: the speed is that of the latest ones, since later candidates may be slower.
        self.marks: deque[tuple[float, int]] = deque(maxlen=RATE_WINDOW)
        self.bar = Progress(
            TextColumn("searching"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[found]}"),
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
        if not self.marks:
            self._count_earlier(study, trial)
        done, now = study.n_told, time.monotonic()
        self.n_failed += trial.state == FAILED
        self.marks.append((now, done))
        found = self._found(study.best, done)
        self.bar.update(self.task, completed=done, found=found)
        if not ERR.is_terminal and now - self.last_line >= self.plain_line_s:
            self.last_line = now
            say(f"{done}/{self.n_trials} trials, {found}", ERR)

    def _count_earlier(self, study: Any, first: Any) -> None:
        """A continued search begins with the trials of earlier runs, which are no part of its speed."""
        self.marks.append((self.start, study.n_told - 1))
        self.n_failed = sum(trial.state == FAILED for trial in study.trials if trial.number != first.number)

    def _found(self, best: Any, done: int) -> str:
        (start, n_start), (now, _) = self.marks[0], self.marks[-1]
        parts = ["no score yet" if best is None else f"best {best.score:.6g} (trial {best.number})"]
        if self.n_failed:
            parts.append(f"{self.n_failed} failed")
        if now > start and done > n_start:
            per_second = (done - n_start) / (now - start)
            parts.append(f"{per_second:.2g} per second")
            if done < self.n_trials:
                parts.append(f"{duration((self.n_trials - done) / per_second * 1e3)} left")
        return ", ".join(parts)


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
