"""Steps of a check: each a command of its own, whose failure is written down while the next one runs."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

OUTPUT_CHARACTERS = 6000  # of the end of what a step printed
PASSED, FAILED, LEFT_OUT = "passed", "failed", "left out"


@dataclass(frozen=True)
class Step:
    """A command with the seconds that it may take.

    Attributes:
        name: how the report calls it.
        command: the program and its arguments.
        limit_s: it is ended after so many seconds.
        left_out: why it is not run; None where it is.
    """

    name: str
    command: Sequence[str]
    limit_s: float
    left_out: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a step.

    Attributes:
        name: of the step.
        status: "passed", "failed" or "left out".
        reason: why it did not pass; empty where it did.
        seconds: how long it ran.
        output: the end of what it printed.
    """

    name: str
    status: str
    reason: str = ""
    seconds: float = 0.0
    output: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For a JSON file."""
        return asdict(self)


def run_step(step: Step, folder: Path, environment: Mapping[str, str], seconds_left: float, log: Path) -> Outcome:
    """Run a step in `folder`; what it prints goes through the file `log`, so that a step that is ended keeps it."""
    if step.left_out is not None:
        return Outcome(step.name, LEFT_OUT, step.left_out)
    limit = min(step.limit_s, seconds_left)
    if limit <= 0:
        return Outcome(step.name, FAILED, "no time was left for it")
    begin = time.monotonic()
    with log.open("wb") as file:
        try:
            process = subprocess.Popen(
                step.command,
                cwd=folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return Outcome(step.name, FAILED, str(error))
        reason = _waited(process, limit)
    output = log.read_text(encoding="utf-8", errors="replace")[-OUTPUT_CHARACTERS:]
    status = FAILED if reason else PASSED
    return Outcome(step.name, status, reason, round(time.monotonic() - begin, 1), output)


def _waited(process: subprocess.Popen[bytes], limit: float) -> str:
    """Wait for a process, which is ended with all its children after `limit` seconds; returns why it failed."""
    try:
        code = process.wait(limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"ended after {limit:.0f} s, the most that it was given"
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    return f"exit status {code}" if code else ""
