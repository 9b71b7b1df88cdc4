"""What a search maximises: one proxy, or several combined by their ranks over everything seen so far."""

from __future__ import annotations

import bisect
import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lswag_fast.errors import InputError
from lswag_fast.libra.ranks import Aggregate, Matrix, check_aggregate, combine_ranks, combine_values
from lswag_fast.study.trial import table_columns

SCORE = "score"
"""Name of the only value of a study whose scores come from a function."""

# Values not yet merged into the sorted array: an insertion moves at most so many, a merge is shared by so many.
_RECENT = 1024


@dataclass(frozen=True)
class Objective:
    """Which values of a trial count, and how they become one score, higher is better.

    Attributes:
        proxies: names of the values that a trial is told. One is the score itself, several are combined.
        combine: of several: "log_rank", "mean_rank", "rank_sum" or "product", as `lswag_fast.rank_aggregate` defines
            them, among all complete trials. A constraint (parameters, MACs, latency) is a budget, never a proxy here.
        lower_is_better: those of the proxies for which lower is better.

    Raises:
        InputError: no proxy, one twice, one with the name of a column of the results, or another `combine`.
    """

    proxies: tuple[str, ...] = (SCORE,)
    combine: Aggregate = "log_rank"
    lower_is_better: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be told apart or combined."""
        if not self.proxies or len(set(self.proxies)) < len(self.proxies):
            raise InputError(f"an objective needs one or more different proxies; found {list(self.proxies)}")
        taken = sorted(set(self.proxies) & set(table_columns(with_latency=True)))
        if taken and len(self.proxies) > 1:
            raise InputError(f"{taken[0]} is a column of the results; give the proxy another name")
        check_aggregate("combine", self.combine)

    @property
    def is_single(self) -> bool:
        """Whether one proxy is the score by itself."""
        return len(self.proxies) == 1

    def vector(self, values: Mapping[str, float]) -> tuple[float, ...]:
        """Return the values in the order of the proxies, turned so that higher is better."""
        return tuple(-values[name] if name in self.lower_is_better else values[name] for name in self.proxies)

    def to_dict(self) -> dict[str, Any]:
        """Return what decides the objective, as plain JSON values; `combine` is None with one proxy."""
        return {
            "proxies": list(self.proxies),
            "combine": None if self.is_single else self.combine,
            "lower_is_better": [name for name in self.proxies if name in self.lower_is_better],
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Objective:
        """Return the objective that `to_dict` wrote."""
        return cls(tuple(stored["proxies"]), stored["combine"] or "log_rank", tuple(stored["lower_is_better"]))


class Ranks:
    """Order statistics of all complete trials, one sorted column a proxy.

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

    def scores(self, vectors: Matrix) -> Matrix:
        """Return the scores (m,) of trials (m, proxies) that were added, among all that were added."""
        if self._objective.is_single:
            return vectors[:, 0]
        if self._objective.combine == "product":
            least, largest = (np.array([getattr(c, end) for c in self._columns]) for end in ("least", "largest"))
            return combine_values(vectors, least, largest)
        ranks = np.stack([column.ranks(vectors[:, p]) for p, column in enumerate(self._columns)], axis=1)
        return combine_ranks(ranks, self.n, self._objective.combine)


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
