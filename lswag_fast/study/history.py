"""What became of all trials so far: the memory that proposals are made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from lswag_fast.libra.ranks import Matrix
from lswag_fast.study.objective import Objective
from lswag_fast.study.standings import Leaders, Ranks
from lswag_fast.study.trial import COMPLETE, FINISHED, SUPERNET, Trial, TrialList, ranked

# Trials kept at hand as the best ones, at least: as many as results list.
N_LEADERS = 10


class History:
    """The trials of a study by number, and the best of them, without ranking all of them again.

    Its answers depend on which trials are complete, not on the order in which they were told.

    Args:
        objective: what counts.
        n_leaders: how many of the best are asked for often.
    """

    def __init__(self, objective: Objective, n_leaders: int = N_LEADERS) -> None:
        self.objective = objective
        self.trials = TrialList(0, _nothing_stored)
        self.n_finished = 0
        self._ranks = Ranks(objective)
        self._vectors: Matrix = np.empty((N_LEADERS, len(objective.proxies)))  # by number, with room to grow
        self._leaders = Leaders(max(n_leaders, N_LEADERS), len(objective.proxies))

    def __len__(self) -> int:
        """The number of trials, those not told yet too."""
        return len(self.trials)

    @property
    def n_open(self) -> int:
        """The number of trials that are not told yet."""
        return len(self.trials) - self.n_finished

    def restore(
        self,
        trials: TrialList,
        n_finished: int,
        complete: NDArray[np.int64],
        vectors: Matrix,
        origins: Sequence[str],
    ) -> None:
        """Take the trials of a study that was read, in place of none.

        Args:
            trials: all of them.
            n_finished: how many are finished.
            complete: the numbers (n,) of the complete ones.
            vectors: their values (n, proxies), as `Objective.vector` gives them.
            origins: of all trials.
        """
        self.trials, self.n_finished = trials, n_finished
        if not len(complete):
            return
        self._vectors = np.empty((len(trials), vectors.shape[1]))
        self._vectors[complete] = vectors
        self._ranks.add_all(vectors)
        may_lead = np.array([origins[number] != SUPERNET for number in complete.tolist()], dtype=np.bool_)
        self._leaders.add_all(complete[may_lead], vectors[may_lead])

    def propose(self, trials: Iterable[Trial]) -> None:
        """Append new trials, which continue the numbers."""
        self.trials.extend(trials)

    def put(self, trial: Trial) -> None:
        """Replace a trial by its later self; a finished one counts from now on."""
        self.trials.put(trial)
        if trial.state in FINISHED:
            self.n_finished += 1
        if trial.state == COMPLETE:
            vector = self.objective.vector(trial.values)
            self._keep(trial.number, vector)
            self._ranks.add(vector)
            if trial.origin != SUPERNET:
                self._leaders.add(trial.number, vector)

    def annotate(self, trial: Trial) -> None:
        """Replace a finished trial by one of the same values, with what became known of it since."""
        self.trials.put(trial)

    def _keep(self, number: int, vector: Sequence[float]) -> None:
        if number >= len(self._vectors):
            room = np.empty((number + 1, self._vectors.shape[1]))
            self._vectors = np.concatenate([self._vectors, room])
        self._vectors[number] = vector

    def scores(self, numbers: Sequence[int]) -> Matrix:
        """Return the present scores of the complete trials with these numbers, in their order."""
        return self._ranks.scores(self._vectors[np.array(numbers, dtype=np.int64)])

    def scores_among(self, trials: Sequence[Trial]) -> list[float]:
        """Return the scores of complete trials, with several proxies by their ranks among these trials alone."""
        ranks = Ranks(self.objective)
        vectors = np.array([self.objective.vector(trial.values) for trial in trials])
        if not len(trials):
            return []
        ranks.add_all(vectors)
        scores: list[float] = ranks.scores(vectors).tolist()
        return scores

    def last_batch(self) -> list[Trial]:
        """Return the trials that were proposed last."""
        first = len(self) - 1
        while first and self.trials[first - 1].proposal_batch == self.trials[-1].proposal_batch:
            first -= 1
        return self.trials[first:]

    def scored(self, trials: Sequence[Trial]) -> list[Trial]:
        """Return complete trials with their present scores filled in."""
        if self.objective.is_single:
            return list(trials)
        return [trial.with_score(score) for trial, score in zip(trials, self._scores_of(trials), strict=True)]

    def _scores_of(self, trials: Sequence[Trial]) -> list[float]:
        scores: list[float] = self.scores([trial.number for trial in trials]).tolist()
        return scores

    def all_scored(self) -> list[Trial]:
        """Return all trials, the complete ones with their present scores."""
        if self.objective.is_single:
            return list(self.trials)
        found = iter(self.scored([trial for trial in self.trials if trial.state == COMPLETE]))
        return [next(found) if trial.state == COMPLETE else trial for trial in self.trials]

    def top(self, count: int) -> list[Trial]:
        """Return the best `count` complete trials, best first, of equals the earlier first."""
        if count > self._leaders.count:
            return ranked(self.all_scored())[:count]
        return ranked(self.scored([self.trials[number] for number in self._leaders.numbers]))[:count]


def _nothing_stored(number: int) -> Trial:
    raise IndexError(number)
