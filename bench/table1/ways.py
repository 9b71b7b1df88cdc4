"""The ways to rank the networks of a column: its proxies, combinations that see no accuracy, and LIBRA's rules."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from bench.correlation import combinations as of_cells
from bench.correlation.combinations import pool
from bench.libra import label_free
from lswag_fast import Libra, list_proxies, rank_aggregate
from lswag_fast.data.tables import MIN_ROWS
from lswag_fast.errors import TableError
from lswag_fast.libra.held_out import Figure, HeldOut, held_out
from lswag_fast.libra.ranking import oriented
from lswag_fast.libra.ranks import Aggregate
from lswag_fast.libra.recommended import recommendations
from lswag_fast.libra.selection import Rule
from lswag_fast.libra.windows import ComparisonWindow

RULES: tuple[Rule, ...] = ("published", "halves", "weights")
PUBLISHED_RULE, DEFAULT_RULE = "libra:published", "libra:weights"
BEST_MEMBER = "best_member"


@dataclass(frozen=True)
class Combination:
    """Proxies whose ranks are combined.

    Attributes:
        members: Their names.
        scores: (networks,) what the combination gives.
    """

    members: tuple[str, ...]
    scores: pd.Series


def proxies(scores: pd.DataFrame) -> list[str]:
    """The proxies of a file that rank at least the fewest networks whose rank correlation is computed."""
    known = [info.name for info in list_proxies() if not info.parts and info.name in scores.columns]
    finite = scores[known].apply(pd.to_numeric).replace([float("inf"), -float("inf")], float("nan"))
    return [name for name in known if finite[name].notna().sum() >= MIN_ROWS and finite[name].nunique() > 1]


def combinations(scores: pd.DataFrame, space: str, names: list[str]) -> dict[str, Combination]:
    """Each combination whose members a file has, once, by the first of its names."""
    found: dict[str, Combination] = {}
    known: set[frozenset[str]] = set()
    for way, members, how in _tried(space):
        if set(members) <= set(names) and frozenset(members) not in known:
            known.add(frozenset(members))
            found[way] = Combination(members, rank_aggregate(oriented(scores, members), how))
    return found


def _tried(space: str) -> list[tuple[str, tuple[str, ...], Aggregate]]:
    made = [(info.name, info.parts, info.aggregate) for info in list_proxies() if info.parts and info.aggregate]
    advised = [
        (f"recommended:{one.kind}", one.proxies, one.combine) for one in recommendations() if space in one.spaces
    ]
    lists = (*of_cells.COMBINATIONS.values(), *label_free.COMBINATIONS)
    summed: list[tuple[str, tuple[str, ...], Aggregate]] = [(" ".join(names), names, "log_rank") for names in lists]
    return [*made, *advised, *summed]


def held_out_rows(
    scores: pd.DataFrame, target: str, window: ComparisonWindow | None, halves: int, seed: int
) -> dict[str, dict[str, object]]:
    """What each rule, and the best member, is worth on the halves that it was not fitted to, over all and inside."""
    names = pool(scores)
    found: dict[str, dict[str, object]] = {f"libra:{rule}": {} for rule in RULES} | {BEST_MEMBER: {}}
    for rule in RULES:
        libra = Libra(rule=rule).fit(scores, target, "params", names)
        over_all = held_out(libra, scores, target, "params", names, n_halves=halves, seed=seed)
        row = found[f"libra:{rule}"]
        row |= {"members": " ".join(libra.selection), **_figure("spearman", over_all.selection), "n": over_all.n_rows}
        found[BEST_MEMBER] |= {**_figure("spearman", over_all.best_alone), "n": over_all.n_rows}
        inside = None if window is None else _inside(rule, scores, target, names, window, halves, seed)
        if inside is not None:
            row |= {**_figure("inside", inside.selection), "window": str(window)}
            found[BEST_MEMBER] |= {**_figure("inside", inside.best_alone), "window": str(window)}
    return found


def _inside(
    rule: Rule, scores: pd.DataFrame, target: str, names: list[str], window: ComparisonWindow, halves: int, seed: int
) -> HeldOut | None:
    """The same inside windows; None where halves of the table are too small for them."""
    try:
        libra = Libra(rule=rule).fit(scores, target, "params", names, window)
        return held_out(libra, scores, target, "params", names, window, n_halves=halves, seed=seed)
    except TableError:
        return None


def _figure(name: str, figure: Figure) -> dict[str, object]:
    return {name: figure.rho, f"{name}_low": figure.low, f"{name}_high": figure.high}
