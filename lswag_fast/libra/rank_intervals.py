"""Which of several candidates their repeated scores can tell apart: an interval of ranks for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lswag_fast.errors import InputError

CONFIDENCE = 0.95
# Differences of combined ranks that are the same number differ by rounding, the least others by far more.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class RankInterval:
    """What the repeats say of one candidate.

    Attributes:
        mean: of its scores.
        standard_error: of that mean, over the repeats.
        best: the best rank that it may have: one more than the number of candidates that are better than it.
        worst: the worst one.
    """

    mean: float
    standard_error: float
    best: int
    worst: int


def rank_intervals(
    scores: Sequence[Sequence[float]] | NDArray[np.float64], *, of_ranks: bool = False
) -> list[RankInterval]:
    """Return an interval of ranks for each of the candidates, in their order.

    One is better than another where the mean of the differences of their scores, repeat by repeat, is above zero by a
    t test of pairs at 95 %, for each pair by itself: the repeats share batch and seed, so that what is common to both
    cancels. Ranks are those among the candidates.

    Scores that are combined from ranks take few values, and of few candidates in few repeats the same difference comes
    each time by chance: the t test would take it for certain. There a sign test at the same level decides, by which a
    difference that is the same in fewer than six repeats says nothing.

    Args:
        scores: higher is better, a row for each candidate, a column for each repeat, two at least.
        of_ranks: whether they are combined from ranks among the candidates.

    Raises:
        InputError: fewer than two repeats.

    Example:
        >>> for found in rank_intervals([[5.0, 5.1, 5.2], [3.0, 3.3, 3.1], [3.2, 3.0, 3.2]]):
        ...     print(f"{found.mean:.2f} +- {found.standard_error:.2f}, rank {found.best} to {found.worst}")
        5.10 +- 0.06, rank 1 to 1
        3.13 +- 0.09, rank 2 to 3
        3.13 +- 0.07, rank 2 to 3
        >>> [(found.best, found.worst) for found in rank_intervals([[1.0, 1.0], [2.0, 2.0]], of_ranks=True)]
        [(1, 2), (1, 2)]
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 2:  # a row for each candidate
        raise InputError("an interval of ranks needs two repeats of each score or more")
    better = np.array([[_is_better(first - second, of_ranks) for second in table] for first in table], dtype=bool)
    return [
        RankInterval(
            mean=float(row.mean()),
            standard_error=standard_error(row),
            best=1 + int(better[:, place].sum()),
            worst=len(table) - int(better[place].sum()),
        )
        for place, row in enumerate(table)
    ]


def standard_error(values: Sequence[float] | NDArray[np.float64]) -> float:
    """Return the standard error of the mean of two values or more.

    Example:
        >>> standard_error([1.0, 3.0])
        1.0
    """
    found = np.asarray(values, dtype=np.float64)
    return float(found.std(ddof=1)) / math.sqrt(len(found))


def _is_better(differences: NDArray[np.float64], of_ranks: bool) -> bool:
    """Whether their mean is above zero by a t test; of ranks that do not vary, by a sign test."""
    from scipy.stats import t  # late: takes half a second

    n, mean, error = len(differences), float(differences.mean()), standard_error(differences)
    if of_ranks and error <= _ROUNDING * abs(mean) and 2 * 0.5**n > 1 - CONFIDENCE:
        return False
    return mean > 0 and mean > float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * error
