"""The progress of a training on stderr: a bar on a terminal, else a plain line now and then."""

from __future__ import annotations

import time
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from lswag_fast.cli.console import ERR, say
from lswag_fast.cli.progress import PLAIN_LINE_S
from lswag_fast.report.words import duration


class TrainingProgress:
    """A context manager, and inside it a watcher of the training loop.

    Args:
        plain_line_s: seconds between two lines where stderr is no terminal.
    """

    def __init__(self, plain_line_s: float = PLAIN_LINE_S) -> None:
        self._plain_line_s = plain_line_s
        self._n_steps = self._first = 0
        self._start = self._last_line = time.monotonic()
        columns = (
            TextColumn("training"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[how]}"),
        )
        self._bar = Progress(*columns, console=ERR, disable=not ERR.is_terminal)
        self._task = self._bar.add_task("", total=None, how="")

    def __enter__(self) -> TrainingProgress:
        """Start the bar."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar as it stands."""
        self._bar.stop()

    def began(self, step: int, n_steps: int) -> None:
        """Start the clock."""
        self._first, self._n_steps = step, n_steps
        self._start = self._last_line = time.monotonic()
        self._bar.update(self._task, completed=step, total=n_steps)
        if step:
            say(f"continuing after step {step} of {n_steps}", ERR)

    def stepped(self, step: int, loss: float, images_per_s: float) -> None:
        """Show where it is."""
        now = time.monotonic()
        left = (now - self._start) / max(1, step - self._first) * (self._n_steps - step)
        how = f"loss {loss:.4f}, {images_per_s:,.0f} images per second, {duration(left * 1e3)} left"
        self._bar.update(self._task, completed=step, how=how)
        if not ERR.is_terminal and now - self._last_line >= self._plain_line_s:
            self._last_line = now
            say(f"{step}/{self._n_steps} steps, {how}", ERR)

    def ended_epoch(self, row: dict[str, float]) -> None:
        """Nothing more: the log has it."""
