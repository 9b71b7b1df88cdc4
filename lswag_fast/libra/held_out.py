"""What a selection is worth on architectures that took no part in the choice."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lswag_fast.data.tables import MIN_ROWS, finite_numbers
from lswag_fast.errors import InputError, TableError
from lswag_fast.libra.judge import Candidates, Judge
from lswag_fast.libra.ranking import oriented
from lswag_fast.libra.ranks import Aggregate, check_weights
from lswag_fast.libra.windows import ComparisonWindow, check_window
from lswag_fast.option_checks import check_count

if TYPE_CHECKING:
    from lswag_fast.libra.selection import Libra

N_HALVES = 100
MOST_SPREAD = 95
"""Percent of the halves that lie inside an interval."""


@dataclass(frozen=True)
class Figure:
    """A Spearman correlation with the target on held-out halves.

    Attributes:
        rho: the mean over the halves.
        low: the lower end of the interval that holds 95 % of them. The spread over halves drawn without replacement is
            that of samples as large as the whole table (see `lswag_fast.libra.halves.join_by_gain`).
        high: its upper end.

    Example:
        >>> print(Figure(0.5, 0.25, 0.75))
        .50 [.25, .75]
    """

    rho: float
    low: float
    high: float

    @classmethod
    def of(cls, found: Sequence[float]) -> Figure:
        """Return the figure of some correlations.

        Example:
            >>> Figure.of([0.5, 0.5])
            Figure(rho=0.5, low=0.5, high=0.5)
        """
        tail = (100 - MOST_SPREAD) / 2
        low, high = np.percentile(found, [tail, 100 - tail])
        return cls(*(round(float(value), 4) for value in (np.mean(found), low, high)))

    def __str__(self) -> str:
        """Write two decimals of each."""
        rho, low, high = (f"{value:.2f}".replace("0.", ".") for value in (self.rho, self.low, self.high))
        return f"{rho} [{low}, {high}]"


@dataclass(frozen=True)
class HeldOut:
    """How a rule's selections ranked the halves of a table that they were not fitted to.

    Attributes:
        selection: of what the rule selected on the other half.
        best_alone: of the one proxy that ranks the other half best.
        alone: of single proxies: those of `members`, and the bias, the parameters say.
        n_rows: architectures of the table.
        n_halves: how often it was cut.
        inside: where architectures are compared, in words; empty for all with all.
        members: of what the rule selected on the whole table. That took part in the choice, so this is no figure of
            unseen architectures; it stands beside those of `alone`, which are of fixed proxies too. None in files of
            versions up to 0.2.0.
    """

    selection: Figure
    best_alone: Figure
    alone: Mapping[str, Figure]
    n_rows: int
    n_halves: int
    inside: str = ""
    members: Figure | None = None

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> HeldOut:
        """Return what `dataclasses.asdict` gave; raises KeyError, TypeError or AttributeError for anything else."""
        return cls(
            selection=Figure(**stored["selection"]),
            best_alone=Figure(**stored["best_alone"]),
            alone={str(name): Figure(**figure) for name, figure in stored["alone"].items()},
            n_rows=int(stored["n_rows"]),
            n_halves=int(stored["n_halves"]),
            inside=str(stored["inside"]),
            members=Figure(**stored["members"]) if stored.get("members") else None,
        )


def held_out(
    libra: Libra,
    table: pd.DataFrame,
    target: str,
    bias: str = "params",
    proxies: Sequence[str] | None = None,
    window: ComparisonWindow | None = None,
    *,
    n_halves: int = N_HALVES,
    seed: int = 0,
    members: Mapping[str, float] | None = None,
) -> HeldOut:
    """Fit the same rule to random halves of a table and judge what it selects on the other halves.

    Args:
        libra: fitted to the whole table; its options are those of the fits to the halves.
        table: as of `Libra.fit`, like the four arguments after it, which are those of the fit.
        target: the column of the accuracy.
        bias: the column that proxies may be biased to.
        proxies: the columns to choose from.
        window: inside of what architectures are compared.
        n_halves: how often the table is cut.
        seed: of the cuts.
        members: the selection whose figure stands beside the rule's, by the names of its proxies and how much each
            counts; None for what the rule selected on the whole table.

    Raises:
        TableError: a half has too few rows for the rule, or no window of a half holds 10 architectures.
        InputError: members are not proxies with a positive number each, or count differently where `libra.combine`
            weighs none; libra is no fitted `Libra`, n_halves is below 1, the seed is negative, or the window is none.

    Example:
        >>> from lswag_fast import Libra
        >>> rng = np.random.default_rng(0)
        >>> y = rng.normal(size=80)
        >>> columns = {name: y + rng.normal(size=80) for name in ("nwot", "zico", "params")}
        >>> table = pd.DataFrame({"accuracy": y, **columns})
        >>> found = held_out(Libra().fit(table, "accuracy"), table, "accuracy", n_halves=5)
        >>> found.n_rows, found.n_halves, "params" in found.alone
        (80, 5, True)
    """
    from lswag_fast.libra.selection import Libra  # which reads what this module writes

    if not isinstance(libra, Libra):
        raise InputError(f"held_out takes a fitted Libra, Libra().fit(table, target) say, got {libra!r}")
    fit = libra.result
    check_count("n_halves", n_halves, 1)
    check_count("seed", seed, 0)
    check_window(window)
    names = list(fit.proxies.index) if proxies is None else list(dict.fromkeys(proxies))
    _check_members(members, [*names, bias], libra.combine)
    chosen, _ = finite_numbers(table, [target, bias, *names])
    if len(chosen) < 4 * MIN_ROWS:
        raise TableError(
            f"figures on held-out halves need {4 * MIN_ROWS} finite rows, the table has {len(chosen)}: the rule cuts "
            "the half that it is fitted to in halves"
        )
    if window is not None:
        chosen = chosen.assign(**{window.column: window.sizes(table)[chosen.index]})
    fixed = fit.selection if members is None else tuple(members)
    weights = fit.weights if members is None else tuple(members.values())
    alone = list(dict.fromkeys((*fixed, bias)))
    rng = np.random.default_rng(seed)
    order = np.argsort(chosen.index.astype(str), kind="stable")  # the cuts see no order of rows
    rows = []
    for _ in range(n_halves):
        drawn = order[rng.permutation(len(order))]
        here, rest = chosen.iloc[drawn[: len(order) // 2]], chosen.iloc[drawn[len(order) // 2 :]]
        fitted = _fitted(libra, here, target, bias, names, window)
        best = fitted.result.proxies.index[0]
        judge = _judge(rest, names, target, bias, window, libra.combine)
        together = [judge.rho(fitted.selection, fitted.result.weights), judge.rho(fixed, weights)]
        rows.append([*together, *(judge.rho([name]) for name in (best, *alone))])
    selection, of_members, best_alone, *others = (Figure.of(found) for found in zip(*rows, strict=True))
    return HeldOut(
        selection=selection,
        best_alone=best_alone,
        alone=dict(zip(alone, others, strict=True)),
        n_rows=len(chosen),
        n_halves=n_halves,
        inside="" if window is None else window.inside,
        members=of_members,
    )


def _check_members(members: object, known: Sequence[str], combine: Aggregate) -> None:
    """Refuse what is no selection among the proxies of a table."""
    if members is None:
        return
    if not isinstance(members, Mapping) or not members:
        raise InputError(f"members must say how much each proxy counts, {{'nwot': 1.0}} say, got {members!r}")
    unknown = [name for name in members if name not in known]
    if unknown:
        raise InputError(f"members: {unknown[0]!r} is none of the proxies {', '.join(known)}")
    check_weights(list(members.values()), list(members), "log_rank")
    if combine != "log_rank" and (len(set(members.values())) > 1 or min(members.values()) < 0):
        raise InputError(
            f"members count differently, which is for combine='log_rank'; the Libra has combine={combine!r}: give each "
            "the same number, or fit another"
        )


def _fitted(
    libra: Libra,
    here: pd.DataFrame,
    target: str,
    bias: str,
    names: Sequence[str],
    window: ComparisonWindow | None,
) -> Libra:
    """The same rule on a half, whose rows a refusal counts."""
    try:
        return copy.copy(libra).fit(here, target, bias, names, window)
    except TableError as error:
        raise TableError(f"held-out figures take each half for a table, of {len(here)} rows: {error}") from error


def _judge(
    rows: pd.DataFrame,
    names: Sequence[str],
    target: str,
    bias: str,
    window: ComparisonWindow | None,
    combine: Aggregate,
) -> Judge:
    """Of some rows, inside their own windows."""
    sizes = None if window is None else rows[window.column]
    scores = oriented(rows, list(dict.fromkeys((*names, bias))))
    judge = Judge(Candidates(scores, rows[target], rows[bias], sizes, window), None, combine)
    if window is not None:
        judge.windows.check(window)
    return judge
