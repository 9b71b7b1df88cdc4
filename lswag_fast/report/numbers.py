"""The numbers behind the figures, for whichever library draws them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lswag_fast.report.words import COST_NAMES
from lswag_fast.study.trial import COMPLETE, FAILED, Trial

COSTS = tuple(COST_NAMES)
MIN_RANKED = 3
"""Fewer trials have no rank correlation worth showing."""


def complete(trials: Iterable[Trial]) -> list[Trial]:
    """The trials that have a score."""
    return [trial for trial in trials if trial.state == COMPLETE and trial.score is not None]


def failed(trials: Iterable[Trial]) -> list[Trial]:
    """The trials that have none."""
    return [trial for trial in trials if trial.state == FAILED]


def scores_of(trials: Iterable[Trial]) -> list[float]:
    """The scores of complete trials."""
    return [trial.score for trial in trials if trial.score is not None]


def improvements(trials: Iterable[Trial]) -> list[Trial]:
    """The trials that were the best of all up to then, in order."""
    found: list[Trial] = []
    for trial in complete(trials):
        if not found or (trial.score or 0.0) > (found[-1].score or 0.0):
            found.append(trial)
    return found


def cost_of(trial: Trial, cost: str) -> float | None:
    """A cost of a trial; None where it was not measured."""
    value = getattr(trial, cost, None)
    return None if value is None else float(value)


def costs_of(trials: Iterable[Trial], cost: str) -> list[float]:
    """The costs of trials for which it was measured."""
    return [value for trial in trials if (value := cost_of(trial, cost)) is not None]


def measured_costs(trials: Sequence[Trial]) -> tuple[str, ...]:
    """The costs that every complete trial has."""
    scored = complete(trials)
    return tuple(cost for cost in COSTS if scored and all(cost_of(trial, cost) is not None for trial in scored))


def thinned(trials: Sequence[Trial], keep: Iterable[Trial], limit: int) -> list[Trial]:
    """At most about `limit` trials, evenly over the order, and always those of `keep`."""
    if len(trials) <= limit:
        return list(trials)
    chosen = {round(place) for place in np.linspace(0, len(trials) - 1, limit)}
    wanted = {trial.number for trial in keep}
    return [trial for place, trial in enumerate(trials) if place in chosen or trial.number in wanted]


def correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's rank correlation; NaN where one of the two is constant or there are too few."""
    if len(first) < MIN_RANKED or min(len(set(first)), len(set(second))) == 1:
        return float("nan")
    return float(pd.Series(first).corr(pd.Series(second), method="spearman"))


@dataclass(frozen=True)
class Agreement:
    """Rank correlations of `names` with each other, (n, n); each is turned so that more is better (or costs more)."""

    names: tuple[str, ...]
    rho: NDArray[np.float64]
    n_trials: int


def agreement(trials: Sequence[Trial], lower_is_better: Collection[str] = ()) -> Agreement | None:
    """How the proxies of a study, its score and the costs rank the architectures; None for fewer than two proxies.

    The proxies in `lower_is_better` are negated first, so that two which agree always have a positive number.
    """
    scored = [trial for trial in complete(trials) if trial.values]
    names = list(scored[0].values) if scored else []
    if len(names) < 2 or len(scored) < MIN_RANKED:
        return None
    columns = {"score": scores_of(scored)}
    columns |= {
        name: [(-1 if name in lower_is_better else 1) * trial.values[name] for trial in scored] for name in names
    }
    columns |= {
        COST_NAMES[cost]: [float(cost_of(trial, cost) or 0.0) for trial in scored] for cost in measured_costs(scored)
    }
    table = pd.DataFrame(columns).corr(method="spearman")
    return Agreement(tuple(table.columns), table.to_numpy(dtype=np.float64), len(scored))


@dataclass(frozen=True)
class Role:
    """Layers that do the same in different blocks: `blocks.*.fc1`, with their places in order of execution, from 1."""

    name: str
    places: tuple[int, ...]
    layers: tuple[Mapping[str, Any], ...]


def roles(profile: Sequence[Mapping[str, Any]]) -> list[Role]:
    """The layers by what they do, named by their parameter with the numbers of blocks left open, largest role first."""
    found: dict[str, list[tuple[int, Mapping[str, Any]]]] = {}
    for place, layer in enumerate(profile, start=1):
        found.setdefault(_role(str(layer["name"])), []).append((place, layer))
    made = [
        Role(name, tuple(place for place, _ in rows), tuple(layer for _, layer in rows)) for name, rows in found.items()
    ]
    return sorted(made, key=lambda role: (-len(role.places), role.places))


def _role(name: str) -> str:
    return re.sub(r"(?<![^.])\d+(?![^.])", "*", name.removesuffix(".weight"))


def reasons(trials: Iterable[Trial]) -> dict[str, list[Trial]]:
    """The failed trials by why they failed, the commonest reason first."""
    found: dict[str, list[Trial]] = {}
    for trial in failed(trials):
        found.setdefault(trial.error, []).append(trial)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))
