"""The rows of tables that both the page and the terminal show."""

from __future__ import annotations

from collections.abc import Sequence

from lswag_fast.study import summary
from lswag_fast.study.stored import StoredStudy
from lswag_fast.study.trial import Trial, ranked

ORIGIN = "origin"
LEFT = ("rank", ORIGIN)
"""Columns that are no numbers."""

Table = tuple[list[str], list[list[str]]]
"""The headings, and the rows as text."""


def best_table(best: Sequence[Trial], proxies: Sequence[str] | None = None, *, with_origin: bool = True) -> Table:
    """The best trials, best first.

    Args:
        best: at least one trial.
        proxies: whose values have columns; None for all of several, and for none of one, which is the score.
        with_origin: whether a column says where each trial comes from.
    """
    costs = summary.measured_costs(best)
    if proxies is None:
        proxies = list(best[0].values) if len(best[0].values) > 1 else []
    exact = ["exact score"] if any(trial.exact_score is not None for trial in best) else []
    head = ["rank", "score", *exact, *(cost.heading for cost in costs), *proxies, "trial"]
    rows = [
        [
            str(rank),
            f"{trial.score:.6g}",
            *(_exact(trial) for _ in exact),
            *(cost.write(summary.cost_of(trial, cost)) for cost in costs),
            *(f"{trial.values[name]:.5g}" for name in proxies),
            str(trial.number),
        ]
        for rank, trial in enumerate(best, start=1)
    ]
    if not with_origin:
        return head, rows
    return [*head, ORIGIN], [[*row, trial.origin] for row, trial in zip(rows, best, strict=True)]


def finalists_table(finalists: Sequence[Trial]) -> Table:
    """The finalists in the order of the search, with both scores; `-` where an exact one is missing."""
    places = {trial.number: place for place, trial in enumerate(ranked(finalists), start=1)}
    head = ["rank by score", "rank by exact score", "score", "exact score", "trial"]
    rows = [
        [
            str(rank),
            "-" if trial.exact_score is None else str(places[trial.number]),
            f"{trial.score:.6g}",
            _exact(trial),
            str(trial.number),
        ]
        for rank, trial in enumerate(finalists, start=1)
    ]
    return head, rows


def repeats_table(study: StoredStudy) -> Table:
    """The best trials by the mean of their repeats, and the ranks among them that these allow."""
    head = ["mean score", "standard error", "ranks", "trial"]
    rows = [
        [
            f"{found.mean:.6g}",
            f"{found.standard_error:.2g}",
            str(found.best) if found.best == found.worst else f"{found.best} to {found.worst}",
            str(number),
        ]
        for number, found in study.rank_intervals().items()
    ]
    return head, rows


def repeats_text(study: StoredStudy) -> str:
    """What the repeats of a study are, and how many of the best may be the best."""
    intervals = study.rank_intervals().values()
    n_repeats = len(next(iter(next(iter((study.repeats or {}).values())).values())))
    n_best = sum(found.best == 1 for found in intervals)
    return (
        f"The {len(intervals)} best, scored {n_repeats} times more with other data and weights. Ranks are those that a "
        f"t test of pairs at 95 % leaves open: {n_best} of them may be the best."
    )


def _exact(trial: Trial) -> str:
    if trial.exact_score is None:
        return "failed" if trial.exact_error else "-"
    return f"{trial.exact_score:.6g}"


def trial_numbers(trials: Sequence[Trial], limit: int = 5) -> str:
    """The numbers of the first `limit` trials: `3, 17, 20, ...`."""
    shown = ", ".join(str(trial.number) for trial in trials[:limit])
    return shown if len(trials) <= limit else f"{shown}, ..."
