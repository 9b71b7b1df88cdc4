"""A trial: one architecture and what became of it; and the table of all trials, `trials.csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import pandas as pd

WAITING, RUNNING, COMPLETE, FAILED = "waiting", "running", "complete", "failed"
FINISHED = (COMPLETE, FAILED)
SUPERNET = "supernet"
"""The origin of a trial that is no architecture yet, but leads to one: it is never the best."""

TEXT_BYTES = 4096
"""Of an error or a traceback, what is kept: readers of CSV refuse longer fields, and an error may hold a tensor."""
_LEFT_OUT = " [...] "


def shortened(text: str) -> str:
    """Return a text of a candidate's as it can be stored and shown: its begin and end, without control characters.

    Example:
        >>> shortened("\\x1b[1mred"), len(shortened("x" * 1_000_000))
        ('\\\\x1b[1mred', 4095)
    """
    if not text.isprintable():
        text = "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
    content = text.encode()
    if len(content) <= TEXT_BYTES:
        return text
    half = (TEXT_BYTES - len(_LEFT_OUT)) // 2
    return content[:half].decode(errors="ignore") + _LEFT_OUT + content[-half:].decode(errors="ignore")


@dataclass(frozen=True)
class Trial:
    """One architecture of a search.

    Attributes:
        number: position in the search, from 0.
        arch: the architecture.
        arch_json: its canonical JSON text, equal for equal architectures.
        origin: how it was made: `random`, `mutation`, `crossover`, or another word of the sampler's; `supernet` is no
            architecture yet.
        proposal_batch: batch of proposals that it belongs to, from 0.
        n_params: number of parameters.
        macs: multiply-accumulate operations of one sample.
        latency_ms: measured time of one image, in milliseconds; None unless the budget limits it.
        start_time: when it was asked for, ISO 8601 in UTC; empty before.
        state: `waiting` (proposed, not asked for), `running`, `complete` or `failed`.
        values: {proxy: its value as the proxy gives it}, the finite ones.
        score: the objective, higher is better; None unless complete. With one proxy its value, negated where lower is
            better; with several the aggregate of their ranks among the trials complete when it was read.
        error: why it failed, one line of at most 4 kB; empty unless failed.
        elapsed_ms: wall time from asking to telling, in milliseconds.
        exact_values: of a finalist, {proxy: its value by the exact job}; empty for other trials.
        exact_score: the objective of `exact_values`, with several proxies the aggregate of their ranks among the
            finalists; None until all finalists are scored exactly.
        exact_error: why a finalist has no exact score, one line of at most 4 kB.

    Example:
        >>> from lswag_fast import Study, spaces
        >>> study = Study(spaces.get("nasbench201"), "random")
        >>> trial = study.tell(study.ask(), 0.5)
        >>> trial.number, trial.state, trial.score
        (0, 'complete', 0.5)
    """

    number: int
    arch: Any
    arch_json: str
    origin: str
    proposal_batch: int
    n_params: int
    macs: int
    start_time: str = ""
    state: str = WAITING
    score: float | None = None
    error: str = ""
    elapsed_ms: float | None = None
    latency_ms: float | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    exact_values: Mapping[str, float] = field(default_factory=dict)
    exact_score: float | None = None
    exact_error: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether it was scored exactly, or failed to be."""
        return bool(self.exact_values or self.exact_error)

    def with_score(self, score: float) -> Trial:
        """Return the trial with another score; much quicker than `dataclasses.replace`."""
        copy = object.__new__(Trial)
        copy.__dict__.update(self.__dict__, score=score)
        return copy

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values (as far as the architecture is); its text is left to `arch`."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "arch_json"}


class TrialList(Sequence[Trial]):
    """Trials by number. Those that were read from a storage are made when they are first asked for.

    Args:
        n_stored: how many there are to begin with.
        make: number -> one of them.
    """

    def __init__(self, n_stored: int, make: Callable[[int], Trial]) -> None:
        self._trials: list[Trial | None] = [None] * n_stored
        self._make = make

    def __len__(self) -> int:
        """The number of trials."""
        return len(self._trials)

    @overload
    def __getitem__(self, place: int) -> Trial: ...

    @overload
    def __getitem__(self, place: slice) -> list[Trial]: ...

    def __getitem__(self, place: int | slice) -> Trial | list[Trial]:
        """One trial, or some of them."""
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        return self._trials[place] or self._made(place)

    def _made(self, place: int) -> Trial:
        number = range(len(self))[place]
        trial = self._trials[number] = self._make(number)
        return trial

    def put(self, trial: Trial) -> None:
        """Replace a trial by its later self."""
        self._trials[trial.number] = trial

    def extend(self, trials: Iterable[Trial]) -> None:
        """Append trials, which continue the numbers."""
        self._trials.extend(trials)


def ranked(trials: Iterable[Trial]) -> list[Trial]:
    """Return the complete trials, best first; of equal scores the earlier one first.

    Those with an exact score come before the others, in its order.
    """
    return sorted(by_score(trials), key=lambda trial: (trial.exact_score is None, -(trial.exact_score or 0.0)))


def by_score(trials: Iterable[Trial]) -> list[Trial]:
    """Return the complete trials in the order of the scores of the search; of equal ones the earlier first."""
    complete = [trial for trial in trials if trial.state == COMPLETE and trial.score is not None]
    return sorted(
        (trial for trial in complete if trial.origin != SUPERNET),
        key=lambda trial: (-(trial.score or 0.0), trial.number),
    )


def pareto_front(trials: Iterable[Trial], cost: str = "n_params") -> list[Trial]:
    """Return the complete trials that no other one beats in both score and cost, cheapest first.

    The score is that of the search, which all of them have.

    Args:
        trials: with their scores.
        cost: `n_params`, `macs` or `latency_ms`, lower is better; a trial without it is left out.
    """
    front: list[Trial] = []
    known = [trial for trial in by_score(trials) if getattr(trial, cost) is not None]
    # Best first among equal costs: what follows at the same cost scores no higher.
    for trial in sorted(known, key=lambda trial: getattr(trial, cost)):
        if not front or (trial.score or 0.0) > (front[-1].score or 0.0):
            front.append(trial)
    return front


# A column that differs between equal runs has time, elapsed, start or worker in its name.
_BEGIN = ("number", "arch", "score", "state", "n_params", "macs")
_MIDDLE = ("proposal_batch", "origin", "error")
_END = ("elapsed_ms", "start_time")


_EXACT = "exact_"  # before the name of the score or of a proxy


def table_columns(
    proxies: Sequence[str] = (), *, with_latency: bool = False, with_finalists: bool = False
) -> tuple[str, ...]:
    """Return the names of the columns; a single proxy has none of its own, being the score."""
    own = tuple(proxies) if len(proxies) > 1 else ()
    exact = (f"{_EXACT}score", f"{_EXACT}error", *(_EXACT + name for name in own)) if with_finalists else ()
    return (*_BEGIN, *(("latency_ms",) if with_latency else ()), *_MIDDLE, *own, *exact, *_END)


def table_row(trial: Trial, names: Iterable[str]) -> dict[str, Any]:
    """Return the columns `names` of one trial; `arch` is the canonical JSON text, a value that is missing is None."""
    exact = {_EXACT + name: value for name, value in trial.exact_values.items()}
    cells = {**exact, **trial.to_dict(), "arch": trial.arch_json}
    return {name: cells[name] if name in cells else trial.values.get(name) for name in names}


def csv_row(values: Iterable[Any]) -> str:
    """Return one line of CSV with its line end; None is an empty field, floats keep all their digits."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(list(values))
    return line.getvalue()


def csv_text(trials: Iterable[Trial], names: Sequence[str]) -> str:
    """Return the finished trials as CSV with a head line."""
    rows = (table_row(trial, names).values() for trial in trials if trial.state in FINISHED)
    return "".join([csv_row(names), *map(csv_row, rows)])


def dataframe(trials: Iterable[Trial], names: Sequence[str]) -> pd.DataFrame:
    """Return the finished trials as a DataFrame with the columns `names`."""
    import pandas as pd  # takes half a second, and a search does not need it

    rows: list[Mapping[str, Any]] = [table_row(trial, names) for trial in trials if trial.state in FINISHED]
    return pd.DataFrame(rows, columns=list(names))
