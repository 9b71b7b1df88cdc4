"""A study: ask for an architecture, tell its score. The search loop, and any loop of your own, sits on top of it."""

from __future__ import annotations

import math
import os
import random
import time
from collections import deque
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from lswag_fast.driver.budget import Budget
from lswag_fast.driver.pool import Pool, check_reachable
from lswag_fast.driver.samplers import Proposal, Sampler, get_sampler
from lswag_fast.driver.storage import RunFolder
from lswag_fast.driver.trial import COLUMNS, COMPLETE, FAILED, RUNNING, Trial, ranked, trial_row
from lswag_fast.errors import InputError
from lswag_fast.spaces import SearchSpace

if TYPE_CHECKING:
    import pandas as pd


class Study:
    """The trials of one search over one space.

    The proposals depend on the seed, the space, the budget, the sampler and the scores told, and on nothing else.
    All chance comes from one `random.Random(seed)`.

    Args:
        space: the search space.
        sampler: `"evolution"`, `"random"` or a `Sampler`.
        storage: folder for the results, new or empty; None keeps them in memory only.
        seed: of all proposals.
        budget: what an architecture may cost; None for no limit.

    Raises:
        InputError: the sampler is unknown.
        BudgetError: no architecture of the space meets the budget.
        StorageError: the folder is not empty or cannot be written.
    """

    def __init__(
        self,
        space: SearchSpace,
        sampler: str | Sampler = "evolution",
        storage: str | os.PathLike[str] | None = None,
        seed: int = 0,
        budget: Budget | None = None,
    ) -> None:
        self.space = space
        self.sampler = get_sampler(sampler)
        self.seed = seed
        self.budget = budget or Budget()
        # Before the folder is made, so that a refused budget leaves nothing behind.
        check_reachable(space, self.budget, seed)
        self.folder = RunFolder(storage) if storage is not None else None
        self._pool = Pool(space, self.budget, random.Random(seed))
        self._queue: deque[Proposal] = deque()
        self._trials: list[Trial] = []
        self._started: dict[int, float] = {}

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials in order of their numbers."""
        return tuple(self._trials)

    @property
    def best(self) -> Trial | None:
        """The complete trial with the highest score, the earliest of equals; None before the first one."""
        return next(iter(self.top(1)), None)

    def top(self, count: int) -> list[Trial]:
        """Return the best `count` complete trials, best first."""
        return ranked(self._trials)[:count]

    def ask(self) -> Trial:
        """Return a new trial, state `running`; no architecture is handed out twice.

        When a generation is used up the next one is made of the trials told by then.

        Raises:
            SpaceExhaustedError: every architecture that could be found inside the budget was handed out.
        """
        if not self._queue:
            self._queue.extend(self.sampler.propose(self._pool, self._trials))
        proposal = self._queue.popleft()
        trial = Trial(
            number=len(self._trials),
            arch=proposal.arch,
            arch_json=self.space.encode(proposal.arch),
            origin=proposal.origin,
            generation=proposal.generation,
            n_params=int(self.space.n_params(proposal.arch)),
            macs=int(self.space.macs(proposal.arch)),
            start_time=datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        )
        self._trials.append(trial)
        self._started[trial.number] = time.perf_counter()
        return trial

    def tell(self, trial: Trial, score: float | None = None, *, error: str = "") -> Trial:
        """Record the score of a trial from `ask`, or why there is none; return the finished trial.

        A score that is NaN or infinite makes the trial failed: it is never ranked.

        Raises:
            InputError: the trial is not one that runs in this study, or neither a score nor an error is given.
            StorageError: the row cannot be written.
        """
        if trial.number not in self._started:
            raise InputError(f"trial {trial.number} is not running in this study; tell each trial once, after ask()")
        if (score is None) == (not error):
            raise InputError(f"tell() takes a score or an error; found score={score!r}, error={error!r}")
        if score is not None and not math.isfinite(score):
            score, error = None, f"the score is not finite: {score}"
        elapsed_ms = (time.perf_counter() - self._started.pop(trial.number)) * 1e3
        finished = replace(
            self._trials[trial.number],
            state=FAILED if score is None else COMPLETE,
            score=None if score is None else float(score),
            error=" ".join(error.split()),
            elapsed_ms=round(elapsed_ms, 3),
        )
        self._trials[trial.number] = finished
        if self.folder is not None:
            self.folder.add(finished)
        return finished

    def trials_dataframe(self) -> pd.DataFrame:
        """Return the finished trials as a DataFrame with the columns of `trials.csv`."""
        import pandas as pd  # takes half a second, and a search does not need it

        rows = [trial_row(trial) for trial in self._trials if trial.state != RUNNING]
        return pd.DataFrame(rows, columns=list(COLUMNS))
