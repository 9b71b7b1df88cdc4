"""Where the complete trials of a study stand among each other, kept up to date as they are told."""

from __future__ import annotations

import bisect
import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lswag_fast.libra.ranks import Matrix, combine_ranks, combine_values
from lswag_fast.study.objective import Objective
from lswag_fast.study.trial import Trial, by_score

# Values not yet merged into the sorted array: an insertion moves at most so many, a merge is shared by so many.
_RECENT = 1024
# Trials that are compared with all leaders at once when a study is read.
_CHUNK = 512


class Ranks:
    """Order statistics of all complete trials, one sorted column per proxy.

    Adding a trial costs the same whatever the number of trials, and so (but for a logarithm) does the score of one:
    the ranks of a few trials among all are looked up, and the pool is never ranked again.
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._columns = [_Column() for _ in objective.proxies]
        self.n = 0

    def add(self, vector: Sequence[float]) -> None:
        """Count one more trial; `vector` as `Objective.vector` gives it."""
        for column, value in zip(self._columns, vector, strict=True):
            column.add(value)
        self.n += 1

    def add_all(self, vectors: Matrix) -> None:
        """Count many trials (n, proxies) at once, the first ones."""
        for column, values in zip(self._columns, vectors.T, strict=True):
            column.set(values)
        self.n = len(vectors)

    def scores(self, vectors: Matrix) -> Matrix:
        """Return the scores (m,) of trials (m, proxies) that were added, among all that were added."""
        if self._objective.is_single:
            return vectors[:, 0]
        if self._objective.combine == "product":
            least, largest = (np.array([getattr(c, end) for c in self._columns]) for end in ("least", "largest"))
            return combine_values(vectors, least, largest)
        ranks = np.stack([column.ranks(vectors[:, p]) for p, column in enumerate(self._columns)], axis=1)
        return combine_ranks(ranks, self.n, self._objective.combine, self._objective.rank_weights)


class _Column:
    """All values of one proxy: a long sorted array, and the latest ones sorted beside it until they are merged."""

    def __init__(self) -> None:
        self._merged: Matrix = np.empty(0)
        self._recent = array("d")
        self.least = math.inf
        self.largest = -math.inf

    def add(self, value: float) -> None:
        bisect.insort(self._recent, value)
        self.least, self.largest = min(self.least, value), max(self.largest, value)
        if len(self._recent) == _RECENT:
            # Two sorted runs, which a stable sort merges in linear time.
            self._merged = np.sort(np.concatenate([self._merged, np.frombuffer(self._recent)]), kind="stable")
            self._recent = array("d")

    def set(self, values: Matrix) -> None:
        """Take these values, of which there is at least one, for all that was added."""
        self._merged = np.sort(values)
        self.least, self.largest = float(self._merged[0]), float(self._merged[-1])

    def ranks(self, values: Matrix) -> Matrix:
        """Ranks from 1, equal values sharing the mean of theirs."""
        ranks: Matrix = np.full(len(values), 0.5)
        for part in (self._merged, np.frombuffer(self._recent) if self._recent else np.empty(0)):
            ranks += 0.5 * (part.searchsorted(values) + part.searchsorted(values, "right"))
        return ranks


class Leaders:
    """The trials that can be among the best `count` by any of the ways to combine ranks.

    A trial is dropped once `count` others dominate it: higher in every proxy, or at least as high in every one and
    earlier. Whatever comes later, those rank before it. Dominance is transitive, so counting among the kept ones is
    exact. With one proxy these are the best `count`; with several, a few hundred of 100,000, unless the proxies
    contradict each other.
    """

    def __init__(self, count: int, n_proxies: int) -> None:
        self.count = count
        self.vectors: Matrix = np.empty((0, n_proxies))
        self.numbers: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._n_above: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def add(self, number: int, vector: Sequence[float]) -> None:
        """Consider one more complete trial."""
        new = np.array(vector)
        at_least, above = (self.vectors >= new).all(axis=1), (self.vectors > new).all(axis=1)
        n_above = int((above | (at_least & (self.numbers < number))).sum())
        if n_above >= self.count:
            return
        at_most, below = (self.vectors <= new).all(axis=1), (self.vectors < new).all(axis=1)
        self._n_above[below | (at_most & (self.numbers > number))] += 1
        kept = self._n_above < self.count
        self.vectors = np.concatenate([self.vectors[kept], new[None]])
        self.numbers = np.append(self.numbers[kept], number)
        self._n_above = np.append(self._n_above[kept], n_above)

    def add_all(self, numbers: NDArray[np.int64], vectors: Matrix) -> None:
        """Consider many complete trials at once, the first ones."""
        numbers, vectors = self._without_clear_losers(numbers, vectors)
        # Whatever dominates a trial comes before it: greater in the first proxy that differs, or equal and earlier.
        order = np.lexsort((numbers, *(-vectors.T[::-1])))
        for start in range(0, len(order), _CHUNK):
            chunk = order[start : start + _CHUNK]
            known = np.concatenate([self.numbers, numbers[chunk]]), np.concatenate([self.vectors, vectors[chunk]])
            n_above = _n_dominating(*known, numbers[chunk], vectors[chunk])
            kept = n_above < self.count
            self.numbers = np.append(self.numbers, numbers[chunk][kept])
            self.vectors = np.concatenate([self.vectors, vectors[chunk][kept]])
            self._n_above = np.append(self._n_above, n_above[kept])

    def _without_clear_losers(self, numbers: NDArray[np.int64], vectors: Matrix) -> tuple[NDArray[np.int64], Matrix]:
        """Leave out the trials that enough of the few with the best ranks dominate: nearly all, at little cost."""
        ranks = np.zeros(len(vectors), dtype=np.int64)
        for column in vectors.T:
            ranks[column.argsort()] += np.arange(len(vectors))
        few = np.argsort(-ranks, kind="stable")[: 4 * self.count]
        kept = _n_dominating(numbers[few], vectors[few], numbers, vectors) < self.count
        return numbers[kept], vectors[kept]


def scores_among(objective: Objective, values: Sequence[Mapping[str, float]]) -> list[float]:
    """Return the scores of trials by their values; with several proxies aggregates of the ranks among these alone."""
    vectors = np.array([objective.vector(own) for own in values])
    ranks = Ranks(objective)
    ranks.add_all(vectors)
    scores: list[float] = ranks.scores(vectors).tolist()
    return scores


def settled(trials: Sequence[Trial], objective: Objective, n_finalists: int) -> list[Trial]:
    """Return the trials, the finalists with their exact scores once all of them are scored exactly.

    The finalists are the `n_finalists` best by the score of the search. Exact scores of trials that were finalists
    before better ones came do not count: the outcome does not depend on how often a search was continued.

    Args:
        trials: with their scores, in any order.
        objective: what counts.
        n_finalists: 0 for a search without.
    """
    finalists = by_score(trials)[:n_finalists] if n_finalists else []
    exact = [trial for trial in finalists if trial.exact_values]
    if not exact or not all(trial.is_settled for trial in finalists):
        return list(trials)
    numbers = [trial.number for trial in exact]
    scores = dict(zip(numbers, scores_among(objective, [trial.exact_values for trial in exact]), strict=True))
    return [replace(t, exact_score=scores[t.number]) if t.number in scores else t for t in trials]


def _n_dominating(
    numbers: NDArray[np.int64], vectors: Matrix, of_numbers: NDArray[np.int64], of_vectors: Matrix
) -> NDArray[np.int64]:
    """How many of some trials dominate each of others."""
    at_least = of_numbers[:, None] > numbers
    above = np.ones_like(at_least)
    for own, other in zip(of_vectors.T, vectors.T, strict=True):
        above &= other > own[:, None]
        at_least &= other >= own[:, None]
    counts: NDArray[np.int64] = (above | at_least).sum(axis=1)
    return counts
