"""Looking at a study without touching it: `read_study`, for the commands and reports that show a run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lswag_fast.libra.rank_intervals import RankInterval, rank_intervals
from lswag_fast.study import figures
from lswag_fast.study.history import History
from lswag_fast.study.settings import StudySettings
from lswag_fast.study.standings import scores_among, settled
from lswag_fast.study.storage import Storage, get_storage
from lswag_fast.study.storage.protocol import collector_paused, damage_named
from lswag_fast.study.storage.study_record import StudyRecord
from lswag_fast.study.trial import (
    COMPLETE,
    FAILED,
    FINISHED,
    Trial,
    by_score,
    csv_text,
    dataframe,
    pareto_front,
    ranked,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

# Architectures listed in result.json and on the command line.
N_BEST = 10
RUNNING, KILLED = "running", "killed"


@dataclass(frozen=True, repr=False)
class StoredStudy:
    """A study as it was when it was read.

    Attributes:
        path: its folder; None for one that is not stored.
        settings: all that decides the outcome.
        metadata: what else was recorded with it, JSON values (`data`: where it came from, say).
        versions: of Python and the packages, when the study began.
        trials: the finished ones in order of their numbers, the failed ones too, scores filled in. Architectures are
            plain JSON values.
        status: `running`; `finished` or `exhausted` (no further architecture), which nothing continues; `interrupted`
            (Ctrl-C), `failed` (an error) or `killed` (the process is gone), which the same command continues.
        n_trials_wanted: trials in total that the last run was asked for; 0 where none was said.
        elapsed_ms: wall time of all runs together, in milliseconds.
        n_isomorphic: how often an architecture was left out for being the same function as an earlier one.
        profile: the layers of the best network, as dictionaries of `LayerScore`; None until a run ended.
        profile_trial: number of the trial that `profile` belongs to.
        profile_coverage: the share of its weight matrices' elements that a score observes.
        profile_seconds: where the seconds of scoring it as a candidate went, by part: "build" (of the network),
            "forward", "backward", "kernel" (the statistics of the gradients) and "other".
        repeats: {number of one of the best trials: {proxy: its value in each repeat}}; None without repeats.

    Example:
        >>> import tempfile
        >>> from lswag_fast import Study, spaces
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Study(spaces.get("nasbench201"), "random", folder + "/run") as study:
        ...         told = study.tell(study.ask(), 0.5)
        ...     stored = read_study(folder + "/run")
        >>> len(stored.trials), stored.settings.space.name
        (1, 'nasbench201')
        >>> stored
        StoredStudy(nasbench201 by score: killed, 1 trial, best is trial 0)
    """

    path: Path | None
    settings: StudySettings
    metadata: Mapping[str, Any]
    versions: Mapping[str, str]
    trials: tuple[Trial, ...]
    status: str
    n_trials_wanted: int
    elapsed_ms: float
    n_isomorphic: int = 0
    profile: list[dict[str, Any]] | None = None
    profile_trial: int | None = None
    profile_coverage: float | None = None
    profile_seconds: dict[str, float] | None = None
    repeats: dict[int, dict[str, list[float]]] | None = None

    def __repr__(self) -> str:
        trials = f"{len(self.trials):,} trial{'' if len(self.trials) == 1 else 's'}"
        best = "" if self.best is None else f", best is trial {self.best.number}"
        what = f"{self.settings.space.name} by {self.settings.scored_by}"
        return f"{type(self).__name__}({what}: {self.status}, {trials}{best})"

    @property
    def best(self) -> Trial | None:
        """The best complete trial, as `top` orders them; None without one."""
        return next(iter(self.top(1)), None)

    def top(self, count: int = N_BEST) -> list[Trial]:
        """Return the best `count` complete trials, best first, of equals the earlier first.

        Once all finalists are scored exactly, they come first, in the order of these scores.
        """
        return ranked(self.trials)[:count]

    @property
    def finalists(self) -> list[Trial]:
        """The best by the score of the search, best first, which are scored exactly at its end; [] without such."""
        return by_score(self.trials)[: self.settings.n_finalists]

    def rank_intervals(self) -> dict[int, RankInterval]:
        """Return what the repeats say of the best trials, {number: interval}, the best mean first; {} without repeats.

        With several proxies a score of a repeat is the aggregate of the ranks among these trials; two whose scores
        differ by the same in all repeats are then told apart from six repeats on.
        """
        if not self.repeats:
            return {}
        objective, numbers = self.settings.objective, list(self.repeats)
        n_repeats = len(next(iter(self.repeats[numbers[0]].values())))
        by_repeat = [
            scores_among(objective, [{name: row[k] for name, row in self.repeats[n].items()} for n in numbers])
            for k in range(n_repeats)
        ]
        intervals = rank_intervals(list(zip(*by_repeat, strict=True)), of_ranks=not objective.is_single)
        return dict(sorted(zip(numbers, intervals, strict=True), key=lambda item: -item[1].mean))

    def front(self, cost: str = "n_params") -> list[Trial]:
        """Return the trials that none beats in both score and `cost` (`n_params`, `macs`, `latency_ms`), cheapest
        first.
        """
        return pareto_front(self.trials, cost)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of `trials.csv`."""
        return self.settings.columns

    def csv_text(self) -> str:
        """Return the content of `trials.csv`."""
        return csv_text(self.trials, self.columns)

    def dataframe(self) -> pd.DataFrame:
        """Return the trials as a DataFrame with the columns of `trials.csv`."""
        return dataframe(self.trials, self.columns)

    def plot_history(self) -> Figure:
        """Draw every score in the order of the search, and the best so far; needs matplotlib (the `plot` extra).

        Raises InputError when no trial has a score, MissingExtraError without matplotlib, like all plots here. No
        figure is shown; save it with `figure.savefig(path)`.
        """
        return figures.plot_history(self.trials)

    def plot_front(self, cost: str = "n_params") -> Figure:
        """Draw score against a cost, `n_params`, `macs` or `latency_ms`, with the front."""
        return figures.plot_front(self.trials, cost)

    def plot_agreement(self) -> Figure:
        """Draw the rank correlations of the proxies with each other, with the score and with the costs."""
        return figures.plot_agreement(self.trials, self.settings.objective.lower_is_better)

    def plot_profile(self) -> Figure:
        """Draw trainability and cardinality of the layers of the best network."""
        return figures.plot_profile(self.profile, self.profile_trial)


def read_study(storage: Storage | str | os.PathLike[str]) -> StoredStudy:
    """Read a run folder, also while a process writes it, and also where nothing may be written.

    Args:
        storage: the folder, whichever storage wrote it, or a storage.

    Raises:
        StorageVersionError: the study was written by a later version.
        StorageError: the folder holds no study, or a damaged one.

    Example:
        >>> from lswag_fast import Study, spaces
        >>> from lswag_fast.study.storage import MemoryStorage
        >>> storage = MemoryStorage()
        >>> study = Study(spaces.NasBench201(), "random", storage)
        >>> read_study(storage).status
        'running'
    """
    storage = get_storage(storage)
    with damage_named(storage.path or "memory"), collector_paused():
        record = StudyRecord.from_records(storage.read())
        profile = record.attrs.get("profile") or {}
        return StoredStudy(
            path=storage.path,
            settings=record.settings,
            metadata=record.attrs["metadata"],
            versions=record.attrs["versions"],
            trials=_finished(record),
            status=_status(record.attrs["status"], storage),
            n_trials_wanted=int(record.attrs.get("n_trials", 0)),
            elapsed_ms=record.clock_ms,
            n_isomorphic=record.n_isomorphic,
            profile=profile.get("layers"),
            profile_trial=profile.get("trial"),
            profile_coverage=profile.get("coverage"),
            profile_seconds=profile.get("seconds"),
            repeats=repeats_of(record.attrs),
        )


def repeats_of(attrs: Mapping[str, Any]) -> dict[int, dict[str, list[float]]] | None:
    """Return the repeated scores among the attributes of a study, the best trial first; None for none."""
    found = attrs.get("repeats")
    return {int(number): values for number, values in found.items()} if found else None


def read_settings(storage: Storage) -> StudySettings | None:
    """Return the settings of the study in a storage; None for one of which no trial is finished yet.

    Raises:
        StorageVersionError: the study was written by a later version.
        StorageError: there is no study, or a damaged one.
    """
    with damage_named(storage.path or "memory"), collector_paused():
        records = storage.read()
        is_begun = records.get("result") or records.get("failure")
        return StudySettings.from_json(records["attr"]["settings"]) if is_begun else None


def _finished(record: StudyRecord) -> tuple[Trial, ...]:
    """The finished trials, the complete ones with their scores among all of them."""
    history = History(record.settings.objective)
    record.restore(history, json.loads)
    trials = [trial for trial in history.all_scored() if trial.state in FINISHED]
    return tuple(settled(trials, record.settings.objective, record.settings.n_finalists))


def _status(stored: str, storage: Storage) -> str:
    return KILLED if stored == RUNNING and not storage.is_being_written() else stored


@dataclass(frozen=True, repr=False)
class SearchResult(StoredStudy):
    """What a search found: its trials, the best of them, and all that decided the outcome.

    `trials` are the finished ones in order of their numbers, the failed ones too; `path` is the folder of the results,
    None when nothing was stored; `best` is None only when the search was interrupted before the first score.

    Example:
        >>> import torch
        >>> from lswag_fast import search, spaces
        >>> batch = torch.ones(2, 3, 32, 32), torch.tensor([0, 1])
        >>> def n_weights(model, batch):
        ...     return sum(p.numel() for p in model.parameters())
        >>> result = search(spaces.get("nasbench201"), batch, proxy=n_weights, n_trials=2, sampler="random")
        >>> result
        SearchResult(nasbench201 by n_weights: finished, 2 trials, best is trial 0)
    """

    @property
    def stopped(self) -> str:
        """Why the search ended: `finished`, `exhausted` (no further architecture) or `interrupted` (Ctrl-C)."""
        return self.status

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `result.json`: plain JSON values."""
        states = [trial.state for trial in self.trials]
        return {
            "best": [trial.to_dict() for trial in self.top()],
            "front": [trial.number for trial in self.front()],
            "finalists": [trial.number for trial in self.finalists],
            "counts": {
                "trials": len(states),
                "complete": states.count(COMPLETE),
                "failed": states.count(FAILED),
                "isomorphic": self.n_isomorphic,
            },
            "stopped": self.stopped,
            "n_trials_wanted": self.n_trials_wanted,
            "settings": self.settings.to_json(),
            "metadata": dict(self.metadata),
            "versions": dict(self.versions),
            "elapsed_ms": round(self.elapsed_ms, 3),
        }
