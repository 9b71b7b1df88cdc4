"""The figures of a study: its trials as plain numbers, drawn by `lswag_fast.plots`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lswag_fast import plots
from lswag_fast.errors import InputError
from lswag_fast.study import summary
from lswag_fast.study.costs import get_cost
from lswag_fast.study.trial import Trial, pareto_front

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_history(trials: Sequence[Trial]) -> Figure:
    """Every score in the order of the search, and the best so far; raises InputError when no trial has a score."""
    scored, best = ([(t.number, t.score or 0.0) for t in of(trials)] for of in (summary.complete, summary.improvements))
    return plots.plot_history(scored, best, [trial.number for trial in summary.failed(trials)])


def plot_front(trials: Sequence[Trial], field: str) -> Figure:
    """Score against a cost, with the front; raises InputError for another cost, or one that was not measured."""
    cost, scored = get_cost(field), summary.complete(trials)
    if scored and cost not in summary.measured_costs(scored):
        raise InputError(f"{field} was not measured in this search")

    def points(of: Iterable[Trial]) -> list[tuple[float, float]]:
        return [(summary.cost_of(trial, cost) or 0.0, trial.score or 0.0) for trial in of]

    write = None if cost.unit else cost.write
    return plots.plot_front(points(scored), points(pareto_front(trials, field)), cost.label, write)


def plot_agreement(trials: Sequence[Trial], lower_is_better: Collection[str]) -> Figure:
    """How the proxies rank the architectures; raises InputError for fewer than two proxies or three scored trials."""
    found = summary.agreement(trials, lower_is_better)
    if found is None:
        raise InputError("the agreement of proxies needs at least two proxies and three scored trials")
    return plots.plot_agreement(found.names, found.rho, f"rank agreement over {found.n_trials:,} trials")


def plot_profile(profile: Sequence[Mapping[str, Any]] | None, trial: int | None) -> Figure:
    """The layers of the best network; raises InputError where no run has stored them."""
    if not profile:
        raise InputError("there is no layer to draw: the search stored no profile of its best network")
    return plots.plot_profile(profile, f"trial {trial}")
