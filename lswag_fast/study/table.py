"""The table of a search's trials, `trials.csv`: which columns it has, and its rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lswag_fast.study.trial import FINISHED, Trial

if TYPE_CHECKING:
    import pandas as pd

# A column that differs between equal runs has time, elapsed, start or worker in its name.
_BEGIN = ("number", "arch", "score", "state", "n_params", "macs")
_MIDDLE = ("generation", "origin", "error")
_END = ("elapsed_ms", "start_time")


def columns(proxies: Sequence[str] = (), *, with_latency: bool = False) -> tuple[str, ...]:
    """Return the names of the columns; a single proxy has none of its own, being the score."""
    own = tuple(proxies) if len(proxies) > 1 else ()
    return (*_BEGIN, *(("latency_ms",) if with_latency else ()), *_MIDDLE, *own, *_END)


def row(trial: Trial, names: Iterable[str]) -> dict[str, Any]:
    """Return the columns `names` of one trial; `arch` is the canonical JSON text, a value that is missing is None."""
    cells = {**trial.to_dict(), "arch": trial.arch_json}
    return {name: cells[name] if name in cells else trial.values.get(name) for name in names}


def csv_row(values: Iterable[Any]) -> str:
    """Return one line of CSV with its line end; None is an empty field, floats keep all their digits."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(list(values))
    return line.getvalue()


def csv_text(trials: Iterable[Trial], names: Sequence[str]) -> str:
    """Return the finished trials as CSV with a head line."""
    rows = (row(trial, names).values() for trial in trials if trial.state in FINISHED)
    return "".join([csv_row(names), *map(csv_row, rows)])


def dataframe(trials: Iterable[Trial], names: Sequence[str]) -> pd.DataFrame:
    """Return the finished trials as a DataFrame with the columns `names`."""
    import pandas as pd  # takes half a second, and a search does not need it

    rows: list[Mapping[str, Any]] = [row(trial, names) for trial in trials if trial.state in FINISHED]
    return pd.DataFrame(rows, columns=list(names))
