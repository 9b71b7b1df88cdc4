"""The rows of tables that both the page and the terminal show."""

from __future__ import annotations

from collections.abc import Sequence

from lswag_fast.study import summary
from lswag_fast.study.trial import Trial

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
    head = ["rank", "score", *(cost.heading for cost in costs), *proxies, "trial"]
    rows = [
        [
            str(rank),
            f"{trial.score:.6g}",
            *(cost.write(summary.cost_of(trial, cost)) for cost in costs),
            *(f"{trial.values[name]:.5g}" for name in proxies),
            str(trial.number),
        ]
        for rank, trial in enumerate(best, start=1)
    ]
    if not with_origin:
        return head, rows
    return [*head, ORIGIN], [[*row, trial.origin] for row, trial in zip(rows, best, strict=True)]


def trial_numbers(trials: Sequence[Trial], limit: int = 5) -> str:
    """The numbers of the first `limit` trials: `3, 17, 20, ...`."""
    shown = ", ".join(str(trial.number) for trial in trials[:limit])
    return shown if len(trials) <= limit else f"{shown}, ..."
