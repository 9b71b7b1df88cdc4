"""Progress on stderr: a bar on a terminal, else a plain line now and then."""

from __future__ import annotations

import threading
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
# Seconds after which a single candidate is named; again each time that it has taken twice as long.
LONG_S = 60.0
# Trials that the speed is taken from.
RATE_WINDOW = 64


class SearchProgress:
    """A context manager and, inside it, a callback of `search()`; `started` is another, for a search in this process.

    Args:
        n_trials: trials in total.
        plain_line_s: seconds between two lines where stderr is no terminal.
        long_s: seconds after which a candidate is named that runs in this process, where nothing can end it.
    """

    def __init__(self, n_trials: int, plain_line_s: float = PLAIN_LINE_S, long_s: float = LONG_S) -> None:
        self.watch = LongCandidates(long_s)
        self.n_trials = n_trials
        self.n_failed = 0
        self.n_rescored = 0
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
        self.watch.close()
        self.bar.stop()

    def started(self, study: Any, trial: Any) -> None:
        """Take note of the trial that runs now, in this process."""
        self.watch.began(trial)

    def __call__(self, study: Any, trial: Any) -> None:
        """Count one finished trial."""
        self.watch.ended()
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

    def rescored(self, study: Any, trial: Any) -> None:
        """Count one finalist that was scored exactly."""
        self.n_rescored += 1
        found = f"finalists: {self.n_rescored} scored exactly, {len(study.unsettled())} left"
        self.bar.update(self.task, found=found)
        now = time.monotonic()
        if not ERR.is_terminal and now - self.last_line >= self.plain_line_s:
            self.last_line = now
            say(found, ERR)

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


class LongCandidates:
    """Says which candidate runs since when, from a thread, once it has run for long.

    Args:
        long_s: seconds; the next line follows when twice as many have passed.
    """

    def __init__(self, long_s: float) -> None:
        self._long_s = long_s
        self._running: tuple[Any, float] | None = None  # the trial, and when it began
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def began(self, trial: Any) -> None:
        """A trial runs now."""
        self._running = trial, time.monotonic()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="lswag-fast watch", daemon=True)
            self._thread.start()

    def ended(self) -> None:
        """No trial runs now."""
        self._running = None

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        watched, long_s = None, self._long_s
        while not self._closed.wait(min(1.0, self._long_s / 2)):
            running, now = self._running, time.monotonic()
            if running is not watched:
                watched, long_s = running, self._long_s
            if running is None or now - running[1] < long_s:
                continue
            trial, began = running
            since = time.strftime("%H:%M:%S", time.localtime(time.time() - (now - began)))
            say(
                f"trial {trial.number} has been running since {since}, for {duration((now - began) * 1e3)}: "
                f"{trial.arch_json}; with --timeout-s it would be ended and fail",
                ERR,
            )
            long_s = 2 * (now - began)


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
