"""What the trials of a study say taken together, for tables and figures."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from lswag_fast.study.costs import COSTS, Cost
from lswag_fast.study.trial import COMPLETE, FAILED, SUPERNET, Trial

_PAUSE, _CLOCK_STEP = timedelta(seconds=30), timedelta(milliseconds=2)  # a longer gap is no work; starts are rounded
MIN_RANKED = 3
"""Fewer trials have no rank correlation worth showing."""


def complete(trials: Iterable[Trial]) -> list[Trial]:
    """The trials that have a score."""
    return [trial for trial in trials if trial.state == COMPLETE and trial.score is not None]


def failed(trials: Iterable[Trial]) -> list[Trial]:
    """The trials that failed."""
    return [trial for trial in trials if trial.state == FAILED]


def failures_by_reason(trials: Iterable[Trial]) -> dict[str, list[Trial]]:
    """The failed trials by why they failed, the commonest reason first."""
    found: dict[str, list[Trial]] = {}
    for trial in failed(trials):
        found.setdefault(trial.error, []).append(trial)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def scores_of(trials: Iterable[Trial]) -> list[float]:
    """The scores of complete trials."""
    return [trial.score for trial in trials if trial.score is not None]


def improvements(trials: Iterable[Trial]) -> list[Trial]:
    """The trials that were the best of all up to then, in order."""
    found: list[Trial] = []
    for trial in complete(trials):
        if trial.origin == SUPERNET:
            continue
        if not found or (trial.score or 0.0) > (found[-1].score or 0.0):
            found.append(trial)
    return found


def driver_share(trials: Sequence[Trial]) -> float | None:
    """The share of the time between the trials of a search, which proposes and stores; None where trials overlap.

    Pauses between two runs of a search are left out.
    """
    spans = [(datetime.fromisoformat(t.start_time), timedelta(milliseconds=t.elapsed_ms or 0.0)) for t in trials]
    gaps = [later - start - took for (start, took), (later, _) in itertools.pairwise(spans)]
    between = sum((gap for gap in gaps if gap < _PAUSE), timedelta())
    scoring = sum((took for _, took in spans), timedelta())
    if len(gaps) < MIN_RANKED or min(gaps) < -_CLOCK_STEP:
        return None
    return max(between / (between + scoring), 0.0)


def cost_of(trial: Trial, cost: Cost) -> float | None:
    """A cost of a trial; None where it was not measured."""
    value = getattr(trial, cost.field, None)
    return None if value is None else float(value)


def costs_of(trials: Iterable[Trial], cost: Cost) -> list[float]:
    """The costs of those trials for which it was measured."""
    return [value for trial in trials if (value := cost_of(trial, cost)) is not None]


def measured_costs(trials: Iterable[Trial]) -> tuple[Cost, ...]:
    """The costs that every complete trial has."""
    scored = complete(trials)
    return tuple(
        cost for cost in COSTS.values() if scored and all(cost_of(trial, cost) is not None for trial in scored)
    )


def correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's rank correlation; NaN where one of the two is constant or there are too few."""
    import pandas as pd  # takes half a second, and a search does not need it

    if len(first) < MIN_RANKED or min(len(set(first)), len(set(second))) == 1:
        return float("nan")
    return float(pd.Series(first).corr(pd.Series(second), method="spearman"))


@dataclass(frozen=True)
class Agreement:
    """How rankings of the same architectures agree.

    Attributes:
        names: the score, the n proxies, the costs.
        rho: Spearman's rank correlations of `names` with each other, (len(names), len(names)).
        n_trials: the number of architectures.
    """

    names: tuple[str, ...]
    rho: NDArray[np.float64]
    n_trials: int


def agreement(trials: Iterable[Trial], lower_is_better: Collection[str] = ()) -> Agreement | None:
    """How the score of a study, its proxies and the costs rank the architectures.

    Args:
        trials: finished trials.
        lower_is_better: proxies that are negated first, so that two which agree always have a positive number.

    Returns:
        The agreement; None for fewer than two proxies or three scored trials.
    """
    import pandas as pd

    scored = [trial for trial in complete(trials) if trial.values]
    names = list(scored[0].values) if scored else []
    if len(names) < 2 or len(scored) < MIN_RANKED:
        return None
    columns = {"score": scores_of(scored)}
    for name in names:
        sign = -1 if name in lower_is_better else 1
        columns[name] = [sign * trial.values[name] for trial in scored]
    columns |= {cost.name: costs_of(scored, cost) for cost in measured_costs(scored)}
    table = pd.DataFrame(columns).corr(method="spearman")
    return Agreement(tuple(table.columns), table.to_numpy(dtype=np.float64), len(scored))
