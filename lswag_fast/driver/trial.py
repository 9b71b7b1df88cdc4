"""A trial: one architecture and what became of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

RUNNING, COMPLETE, FAILED = "running", "complete", "failed"


@dataclass(frozen=True)
class Trial:
    """One architecture of a search.

    Attributes:
        number: position in the search, from 0.
        arch: the architecture.
        arch_json: its canonical JSON text, equal for equal architectures.
        origin: how it was made: `random`, `mutation` or `crossover`.
        generation: generation of the sampler, from 0.
        n_params: number of parameters.
        macs: multiply-accumulate operations of one sample.
        state: `running`, `complete` or `failed`.
        score: the proxy's value, higher is better; None unless complete.
        error: why it failed, one line; empty unless failed.
        elapsed_ms: wall time from building the network to its score, in milliseconds.
        start_time: when it was asked for, ISO 8601 in UTC.
    """

    number: int
    arch: Any
    arch_json: str
    origin: str
    generation: int
    n_params: int
    macs: int
    start_time: str
    state: str = RUNNING
    score: float | None = None
    error: str = ""
    elapsed_ms: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values (as far as the architecture is); its text is left to `arch`."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "arch_json"}


# Of trials.csv. A column that differs between equal runs has time, elapsed, start or worker in its name.
COLUMNS = (
    *("number", "arch", "score", "state", "n_params", "macs", "generation", "origin", "error"),
    *("elapsed_ms", "start_time"),
)


def csv_row(values: Iterable[Any]) -> str:
    """Return one line of CSV with its line end; None is an empty field, floats keep all their digits."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(list(values))
    return line.getvalue()


def trial_row(trial: Trial) -> dict[str, Any]:
    """Return the columns of `trials.csv` for one trial; `arch` is the canonical JSON text."""
    row = {**trial.to_dict(), "arch": trial.arch_json}
    return {name: row[name] for name in COLUMNS}


def ranked(trials: Iterable[Trial]) -> list[Trial]:
    """Return the complete trials, best first; of equal scores the earlier one first."""
    complete = [trial for trial in trials if trial.state == COMPLETE and trial.score is not None]
    return sorted(complete, key=lambda trial: (-(trial.score or 0.0), trial.number))
