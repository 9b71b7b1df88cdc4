"""The rule "halves" of LIBRA: what joins the best proxy has to raise the correlation by more than chance would."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd

from lswag_fast.data.tables import MIN_ROWS
from lswag_fast.errors import TableError
from lswag_fast.libra.judge import Candidates, Judge, rounded
from lswag_fast.libra.ranks import Aggregate
from lswag_fast.libra.windows import ComparisonWindow, Rows, Values

MOST_MEMBERS = 3
"""As many as Algorithm 1 takes."""
CUT_WINDOW = 2 * MIN_ROWS + 4
"""Of so many rows, most cuts leave 10 or more on either side: 69 of 100 in a table that is much larger."""


def cuts(table: Candidates, n_halves: int, seed: int) -> Iterator[tuple[Rows, Rows]]:
    """Cut a table in random halves.

    Args:
        table: the architectures; their order does not matter.
        n_halves: how often.
        seed: of the halves.

    Yields:
        The rows of a half, and those of the other; a cut that leaves one of them without a window of 10 is left out.

    Raises:
        TableError: a half is too small to say anything about a rank correlation, or most hold no window of 10.
    """
    if len(table) < 2 * MIN_ROWS:
        raise TableError(
            f"the rule needs {2 * MIN_ROWS} finite rows to cut in halves, the table has {len(table)}; "
            'rule="published" needs fewer'
        )
    rng = np.random.default_rng(seed)
    order = np.argsort(table.target.index.astype(str), kind="stable")  # the cuts see no order of rows
    half = len(table) // 2
    n_usable = 0
    for _ in range(n_halves):
        drawn = order[rng.permutation(len(table))]
        parts = np.sort(drawn[:half]), np.sort(drawn[half:])
        if all(len(table.windows(part).counts) for part in parts):
            n_usable += 1
            yield parts
    if n_usable < max(2, n_halves / 2):
        raise TableError(_too_narrow(table, cast(ComparisonWindow, table.window)))


def _too_narrow(table: Candidates, window: ComparisonWindow) -> str:
    """What to say of a table whose halves hold no window of 10: how many rows of its kind would do."""
    windows = table.windows(np.arange(len(table)))
    windows.check(window)
    largest = windows.rows.shape[1]
    return (
        f"in most halves of the table's {len(table)} rows no {window.noun} of {window} holds {MIN_ROWS}: the largest "
        f"has {largest} of all rows, and the rule wants {CUT_WINDOW}; take {window.remedy} or about "
        f"{math.ceil(len(table) * CUT_WINDOW / largest)} rows of such sizes"
    )


def random_halves(table: Candidates, n_halves: int, seed: int, combine: Aggregate) -> list[Judge]:
    """Return judges of random halves of a table.

    Args:
        table: the architectures; their order does not matter.
        n_halves: how many halves.
        seed: of the halves.
        combine: of the proxies.

    Raises:
        TableError: see `cuts`.

    Example:
        >>> y = pd.Series(np.arange(20.0))
        >>> table = Candidates(pd.DataFrame({"nwot": y}), y, y)
        >>> [judge.rho(["nwot"]) for judge in random_halves(table, 2, seed=0, combine="log_rank")]
        [1.0, 1.0]
    """
    return [Judge(table, here, combine) for here, _ in cuts(table, n_halves, seed)]


def join_by_gain(first: str, candidates: Sequence[str], judges: Sequence[Judge]) -> tuple[list[str], pd.DataFrame]:
    """Select members one after the other, each only where its gain is more than chance.

    The candidate whose addition raises the mean correlation over the halves most joins if that gain is more than its
    standard error; else the selection ends. The standard deviation of a difference over halves drawn without
    replacement is its standard error on the whole table, as 1/(n/2) - 1/n = 1/n (the delete-d jackknife of Shao and Wu,
    Annals of Statistics 1989). A combination has no weights to fit, but the choice among the candidates sees the halves
    that judge it: `rho_halves` is a little flattering, and no figure for networks that nobody has looked at.

    Args:
        first: the member to begin with.
        candidates: which may join.
        judges: of the halves.

    Returns:
        The members in the order in which they joined, and the steps: one row for each candidate of each step, with the
        columns step, proxy, rho_halves (mean over the halves), gain, standard_error and joined; the first row is the
        first member alone.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = pd.Series(rng.normal(size=200))
        >>> noise = rng.normal(size=(2, 200))
        >>> table = Candidates(pd.DataFrame({"nwot": y + noise[0], "zico": y + noise[1], "snip": y + noise[0]}), y, y)
        >>> join_by_gain("nwot", ["snip", "zico"], random_halves(table, 20, 0, "log_rank"))[0]
        ['nwot', 'zico']
    """
    members, left = [first], list(candidates)
    before = np.array([judge.rho(members) for judge in judges])
    steps = [_step(1, first, before, None)]
    while left and len(members) < MOST_MEMBERS:
        after = {name: np.array([judge.rho([*members, name]) for judge in judges]) for name in left}
        best = min(left, key=lambda name: (-rounded(after[name].mean()), name))
        tried = {name: _step(len(members) + 1, name, after[name], before) for name in left}
        steps += tried.values()
        if not tried[best].gain > tried[best].standard_error:
            break
        members.append(best)
        left.remove(best)
        before = after[best]
    joined = [step.proxy in members and members.index(step.proxy) + 1 == step.step for step in steps]
    return members, pd.DataFrame(steps).assign(joined=joined)


@dataclass(frozen=True)
class _Step:
    """What adding a proxy would give."""

    step: int
    proxy: str
    rho_halves: float
    gain: float
    standard_error: float


def _step(step: int, proxy: str, after: Values, before: Values | None) -> _Step:
    if before is None:
        return _Step(step, proxy, rounded(after.mean()), math.nan, math.nan)
    gains = after - before
    return _Step(step, proxy, rounded(after.mean()), rounded(gains.mean()), rounded(gains.std(ddof=1)))
