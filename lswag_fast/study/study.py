"""A study: ask for an architecture, tell its score. The search loop, and any loop of your own, sits on top of it."""

from __future__ import annotations

import itertools
import os
import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from lswag_fast.errors import InputError, PendingTrialsError
from lswag_fast.spaces import SearchSpace, TellsIsomorphic, check_space
from lswag_fast.study.budget import Budget
from lswag_fast.study.candidate_pool import CandidatePool, check_reachable
from lswag_fast.study.history import History
from lswag_fast.study.latency import Latencies
from lswag_fast.study.objective import Objective, Told
from lswag_fast.study.samplers import Proposal, Sampler, get_sampler
from lswag_fast.study.samplers.protocol import check_batch
from lswag_fast.study.settings import (
    SamplerSettings,
    ScoringSettings,
    SpaceSettings,
    StudySettings,
    refuse_difference,
    versions,
    warn_of_nameless,
)
from lswag_fast.study.standings import settled
from lswag_fast.study.storage import Storage, get_storage
from lswag_fast.study.storage.folder import write_result_files
from lswag_fast.study.storage.protocol import Record, collector_paused, damage_named
from lswag_fast.study.storage.records import (
    BatchWriter,
    attr_records,
    exact_record,
    isomorphic_records,
    latency_records,
    result_record,
)
from lswag_fast.study.storage.study_record import StudyRecord
from lswag_fast.study.stored import SearchResult, repeats_of
from lswag_fast.study.trial import (
    COMPLETE,
    FAILED,
    FINISHED,
    RUNNING,
    WAITING,
    Trial,
    csv_text,
    dataframe,
    ranked,
    shortened,
)

if TYPE_CHECKING:
    import pandas as pd


class Study:
    """The trials of one search over one space.

    The proposals depend on the seed, the space, the budget, the sampler and the scores told (with a budget on latency
    also on the latencies measured), and on nothing else: not on the order of telling, nor on whether the study was cut
    and continued. All chance comes from one `random.Random(seed)`.

    With a folder, everything proposed and told is stored there before the call returns, and a study made again with
    the same arguments continues it: the same trials that are not told yet are handed out again, in the same
    order, and the same ones after them.

    Args:
        space: the search space.
        sampler: `"evolution"`, `"random"`, `"steady_state"` or a `Sampler`.
        storage: folder for the results: new, empty, or that of the study to continue, on a local disk; or a `Storage`,
            such as `LogStorage(folder)` on a network file system. None keeps the results in memory only.
        seed: of all proposals.
        budget: what an architecture may cost; None for no limit.
        objective: what is told and maximised; None for one score, higher is better.
        n_finalists: how many of the best are to be scored again, exactly, before one is the best; 0 for none.
        scoring: what decides the scores; stored, and compared when the study is continued.
        metadata: what else is worth storing, JSON values; not compared.
        latency: `latency(arch)` -> milliseconds, for a budget on latency, which needs it.
        keep_isomorphic: whether to hand out also architectures that are the same function as earlier ones, where the
            space tells (`TellsIsomorphic`).

    Raises:
        SpaceError: the space is none.
        InputError: the sampler is unknown, the budget is none, or nothing measures the latency that the budget limits.
        BudgetError: no architecture of the space meets the budget.
        StorageError: the folder holds something else, a study with other settings (the difference is shown) or a
            damaged one, another process writes it (it is named), or it cannot be written.

    Example:
        >>> from lswag_fast import Study, spaces
        >>> study = Study(spaces.NasBench201(), "random", seed=1)
        >>> for _ in range(3):
        ...     trial = study.ask()
        ...     finished = study.tell(trial, -trial.n_params / 1e6)
        >>> study.n_told, study.best.number
        (3, 0)
    """

    def __init__(
        self,
        space: SearchSpace,
        sampler: str | Sampler = "evolution",
        storage: Storage | str | os.PathLike[str] | None = None,
        seed: int = 0,
        budget: Budget | None = None,
        *,
        objective: Objective | None = None,
        n_finalists: int = 0,
        scoring: ScoringSettings | None = None,
        metadata: Mapping[str, Any] | None = None,
        latency: Callable[[Any], float] | None = None,
        keep_isomorphic: bool = False,
    ) -> None:
        check_space(space)
        if not isinstance(budget, Budget | None):
            raise InputError(f"budget must be a Budget, such as Budget(params='5M..7M'), got {budget!r}")
        self.space = space
        self.sampler = get_sampler(sampler)
        self.seed = seed
        self.budget = budget or Budget()
        self.objective = objective or Objective()
        self.settings = StudySettings(
            SpaceSettings.of(space),
            SamplerSettings.of(self.sampler),
            self.budget,
            seed,
            self.objective,
            scoring or ScoringSettings(),
            n_finalists,
            keep_isomorphic or not isinstance(space, TellsIsomorphic),
        )
        self.settings.check()
        self.metadata = dict(metadata or {})
        self.storage = get_storage(storage)
        self._attrs: dict[str, Any] = {}
        self._latencies = Latencies(self.budget, latency)
        self._pool = CandidatePool(space, self.budget, random.Random(seed), self._latencies, keep_isomorphic)
        self._history = History(self.objective, max(self.sampler.n_leaders, n_finalists))
        self._waiting: deque[int] = deque()
        self._started: dict[int, float] = {}
        self._n_batches = 0
        self._memory: Mapping[str, Any] | None = None
        self._batches = BatchWriter()
        self._clock_ms, self._opened = 0.0, time.perf_counter()
        self._open()
        self._random_state = self._pool.rng.getstate()

    def _open(self) -> None:
        if not self.storage.has_study():
            # Before a folder is made, so that a refused budget leaves nothing behind.
            check_reachable(self.space, self.budget, self.seed, self._latencies)
        with collector_paused():
            self._begin_or_continue()
        self._latencies.save = partial(_store_latency, self.storage)

    def _begin_or_continue(self) -> None:
        records = self.storage.open()
        try:
            stored = None
            if records is not None:
                with damage_named(self.storage.path or "memory"):
                    stored = StudyRecord.from_records(records)
            # A study without a result has nothing to lose: other settings begin it anew.
            if stored is None or (not stored.n_finished and stored.settings != self.settings):
                self._begin()
            else:
                refuse_difference(self.storage.path or "this storage", stored.settings, self.settings)
                if stored.n_finished:
                    warn_of_nameless(self.storage.path or "this storage", self.settings)
                self._continue(stored)
        except BaseException:
            self.storage.close()
            raise

    def _begin(self) -> None:
        self._attrs = {"metadata": self.metadata, "versions": versions(), "status": RUNNING}
        attrs = attr_records({**self._attrs, "settings": self.settings.to_json()})
        self.storage.begin([*attrs, *latency_records(self._latencies.known)])

    def _continue(self, stored: StudyRecord) -> None:
        self._attrs = dict(stored.attrs)
        self.metadata = self._attrs["metadata"]
        self._clock_ms = stored.clock_ms
        self._latencies.known.update(stored.latencies)
        stored.restore(self._history, self.space.decode)
        self._pool.known.restore(stored.proposals.arch_json, stored.functions, stored.n_isomorphic)
        self._waiting.extend(np.flatnonzero(~stored.finished).tolist())
        self._n_batches, self._memory = stored.n_batches, stored.memory
        if stored.rng is not None:
            self._pool.rng = stored.rng

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials asked for, in order of their numbers; with several proxies the scores are the present ones."""
        found = settled(self._history.all_scored(), self.objective, self.settings.n_finalists)
        return tuple(trial for trial in found if trial.state != WAITING)

    @property
    def n_told(self) -> int:
        """The number of trials told, the failed ones too."""
        return self._history.n_finished

    @property
    def elapsed_ms(self) -> float:
        """Wall time of the study, that before it was continued too, in milliseconds."""
        return self._clock_ms + (time.perf_counter() - self._opened) * 1e3

    @property
    def best(self) -> Trial | None:
        """The best complete trial, as `top` orders them; None before the first one."""
        return next(iter(self.top(1)), None)

    def top(self, count: int) -> list[Trial]:
        """Return the best `count` complete trials, best first, of equals the earlier first.

        Once all finalists are scored exactly, they come first, in the order of these scores.
        """
        n_finalists = self.settings.n_finalists
        best = self._history.top(max(count, n_finalists))
        return ranked(settled(best, self.objective, n_finalists))[:count]

    def unsettled(self) -> list[Trial]:
        """Return the finalists that are not scored exactly yet: the best by what was told, best first."""
        return [trial for trial in self._history.top(self.settings.n_finalists) if not trial.is_settled]

    def ask(self) -> Trial:
        """Return a new trial, state `running`; no architecture is handed out twice.

        Proposals are made in batches: when one is used up, the next one is made from the trials told by then.

        Raises:
            PendingTrialsError: the next batch of proposals waits for trials that were handed out and not told; it says
                how many.
            SpaceExhaustedError: every architecture that could be found inside the budget was handed out.
            StorageError: the proposals cannot be stored; nothing is handed out.
        """
        if not self._waiting:
            self._propose()
        self.set_attr("status", RUNNING)
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        number = self._waiting.popleft()
        trial = replace(self._history.trials[number], state=RUNNING, start_time=now)
        self._history.put(trial)
        self._started[number] = time.perf_counter()
        return trial

    def _propose(self) -> None:
        if self.sampler.adaptive and self._history.n_open:
            raise PendingTrialsError(
                f"the next proposals depend on {self._history.n_open} trials that are still to be told; tell them first"
            )
        try:
            batch = self.sampler.propose(self._pool, self._history, self._memory)
            check_batch(self.sampler.name, batch, len(self._pool.known.pending_texts))
            trials = list(map(self._trial, itertools.count(len(self._history)), batch.proposals))
            rng_state = self._pool.rng.getstate()
            self._store_batch(trials, rng_state, batch.memory)
        except BaseException:
            # Whoever asks again is given the same.
            self._pool.rng.setstate(self._random_state)
            self._pool.known.undo()
            raise
        self._pool.known.keep()
        self._history.propose(trials)
        self._waiting.extend(trial.number for trial in trials)
        self._n_batches += 1
        self._memory, self._random_state = batch.memory, rng_state

    def _store_batch(self, trials: Sequence[Trial], rng_state: Any, memory: Mapping[str, Any] | None) -> None:
        records = self._batches.records(self._n_batches, trials, rng_state, memory)
        self.storage.write([*records, *isomorphic_records(self._n_batches, self._pool.known)])
        self._batches.keep(records)

    def _trial(self, number: int, proposal: Proposal) -> Trial:
        found, origin = proposal.candidate, proposal.origin
        latency_ms = found.latency_ms if self.budget.latency_ms else None
        place = (number, found.arch, found.arch_json, origin, self._n_batches)
        return Trial(*place, n_params=found.n_params, macs=found.macs, latency_ms=latency_ms)

    def tell(self, trial: Trial, score: Told | None = None, *, error: str = "", traceback: str = "") -> Trial:
        """Record the score of a trial from `ask`, or why there is none; return the finished trial.

        Trials may be told in any order: each is stored at once, and what is proposed next does not depend on it.

        Args:
            trial: one that is running.
            score: the score, or {proxy: value} with all proxies of the objective, as they give them. A value that is
                NaN or infinite makes the trial failed: it is never ranked.
            error: why there is no score; kept as one line of at most 4 kB.
            traceback: where that happened; only stored, at most 4 kB of it.

        Raises:
            InputError: the trial is not one that runs in this study, or what is told is not what it wants to know.
            StorageError: the result cannot be stored; the trial still runs.
        """
        if trial.number not in self._started:
            raise InputError(f"trial {trial.number} is not running in this study; tell each trial once, after ask()")
        finite, error = self.objective.outcome(score, error)
        finished = replace(
            self._history.trials[trial.number],
            state=FAILED if error else COMPLETE,
            values=finite,
            score=self.objective.vector(finite)[0] if not error and self.objective.is_single else None,
            error=error,
            elapsed_ms=round((time.perf_counter() - self._started[trial.number]) * 1e3, 3),
        )
        clock_ms = round(self.elapsed_ms, 3)
        self.storage.write([result_record(finished, self.objective.proxies, shortened(traceback), clock_ms)])
        del self._started[trial.number]
        self._history.put(finished)
        return finished if error else self._history.scored([finished])[0]

    def tell_exact(self, trial: Trial, score: Told | None = None, *, error: str = "", traceback: str = "") -> None:
        """Record the exact score of a finalist, or why there is none, as `tell` does.

        Raises:
            InputError: the trial is not one of `unsettled()`, or what is told is not what the study wants to know.
            StorageError: it cannot be stored.
        """
        if trial.number not in [finalist.number for finalist in self.unsettled()]:
            raise InputError(f"trial {trial.number} waits for no exact score; unsettled() has those that do")
        finite, error = self.objective.outcome(score, error)
        known = replace(self._history.trials[trial.number], exact_values={} if error else finite, exact_error=error)
        self.storage.write([exact_record(known, shortened(traceback), round(self.elapsed_ms, 3))])
        self._history.annotate(known)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of `trials.csv`."""
        return self.settings.columns

    def trials_dataframe(self) -> pd.DataFrame:
        """Return the finished trials as a DataFrame with the columns of `trials.csv`."""
        return dataframe(self.trials, self.columns)

    def get_attr(self, key: str) -> Any:
        """Return the attribute that was stored under `key`, in this run or an earlier one; None for none."""
        return self._attrs.get(key)

    def set_attr(self, key: str, value: Any) -> None:
        """Store an attribute of the study, a JSON value; raises StorageError."""
        if key in self._attrs and self._attrs[key] == value:
            return
        self.storage.write([Record("attr", key, value)])
        self._attrs[key] = value

    def result(self) -> SearchResult:
        """Return what the study has found by now."""
        profile = self.get_attr("profile") or {}
        return SearchResult(
            path=self.storage.path,
            settings=self.settings,
            metadata=self.metadata,
            versions=self.get_attr("versions"),
            trials=tuple(trial for trial in self.trials if trial.state in FINISHED),
            status=self.get_attr("status"),
            n_trials_wanted=self.get_attr("n_trials") or 0,
            elapsed_ms=self.elapsed_ms,
            n_isomorphic=self._pool.known.n_isomorphic,
            profile=profile.get("layers"),
            profile_trial=profile.get("trial"),
            profile_coverage=profile.get("coverage"),
            profile_seconds=profile.get("seconds"),
            repeats=repeats_of(self._attrs),
        )

    def write_files(self, result: Mapping[str, Any]) -> None:
        """Replace `trials.csv`, and `result.json` by `result`, where there is a folder; raises StorageError."""
        if self.storage.path is not None:
            write_result_files(self.storage.path, csv_text(self.trials, self.columns), result)

    def close(self) -> None:
        """Bring everything to the disk and give the folder free; raises StorageError. Nothing can be asked after."""
        self.storage.close()

    def __enter__(self) -> Study:
        """Return the study, which is closed when the block is left."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


def _store_latency(storage: Storage, arch_json: str, latency_ms: float) -> None:
    storage.write(latency_records({arch_json: latency_ms}))
