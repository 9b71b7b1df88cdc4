"""Algorithm 1 of the paper (Casarin et al., CVPR 2025): the numbers of each proxy, and the choice by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import pearsonr, spearmanr

from lswag_fast.errors import InputError
from lswag_fast.libra import information
from lswag_fast.libra.information import Binning, Codes, Logarithm
from lswag_fast.libra.judge import Candidates, Judge, rounded

Correlation = Literal["rank", "raw"]

ROLES = ("z1", "z2", "z3")

WIDER_TOLERANCE = 0.2
"""What the authors widen the tolerance to where it leaves too few proxies (supplement E)."""


@dataclass(frozen=True)
class Measured:
    """Every number that leads to a choice.

    Attributes:
        rows: the table `proxies` of `Fit`, with the column name.
        order: the proxies that vary, best first.
        near: those within the tolerance of the best, without it.
        tolerance: the one that was used.
        n_bins: of the entropies.
        target_bias: correlation of the target with the bias.
    """

    rows: pd.DataFrame
    order: list[str]
    near: list[str]
    tolerance: float
    n_bins: int
    target_bias: float

    @property
    def first(self) -> str:
        """z1, the proxy that ranks best."""
        return self.order[0]

    def is_short(self) -> bool:
        """Whether there are too few near the best for all roles."""
        return len(self.near) < len(ROLES) - 1

    def published(self) -> list[str]:
        """Return (z1, z2, z3): z2 has the least information gain, z3 of the rest the bias nearest to the target's."""
        selection = [self.first, *_least(self.rows, self.near, "information_gain")]
        return selection + _least(self.rows, [name for name in self.near if name not in selection], "bias_distance")


def measure(
    table: Candidates,
    judge: Judge,
    tolerances: Sequence[float],
    *,
    bias: Correlation,
    logarithm: Logarithm,
    binning: Binning,
) -> Measured:
    """Measure every proxy of a table.

    Args:
        table: to select on.
        judge: of all its rows.
        tolerances: the first that leaves two proxies near the best is used, else the last.
        bias: how biases are correlated, see `Libra`.
        logarithm: see `information.sturges_bins`.
        binning: see `information.discretised`.

    Raises:
        InputError: fewer than two proxies vary.
    """
    target_bias = correlated(table.target, table.bias, bias)
    rows = pd.DataFrame([_row(table, judge, name, bias, target_bias) for name in table.scores.columns])
    rows = rows.set_index("name", drop=False).rename_axis("proxy")
    order = rows.dropna(subset="rho").sort_values(["rho", "name"], ascending=[False, True]).index.tolist()
    if len(order) < 2:  # z1 and z2
        raise InputError(f"LIBRA chooses among proxies that vary, and found {len(order)}")
    tolerance, near = _near(rows["rho"], order, tolerances)
    rows.loc[[order[0], *near], "in_tolerance"] = True
    n_bins = information.sturges_bins(len(table), logarithm)
    _add_gains(rows, table, order[0], near, n_bins, binning)
    return Measured(rows, order, near, tolerance, n_bins, target_bias)


def correlated(values: pd.Series, bias: pd.Series, kind: Correlation) -> float:
    """Return the Pearson correlation with the bias, of the ranks or of the values; 0 where the bias is constant.

    Example:
        >>> correlated(pd.Series([1.0, 2.0, 30.0]), pd.Series([1.0, 2.0, 3.0]), "rank")
        1.0
    """
    if bias.nunique() == 1:
        return 0.0
    found = spearmanr(values, bias) if kind == "rank" else pearsonr(values, bias)
    return float(found.statistic)


def _row(table: Candidates, judge: Judge, name: str, kind: Correlation, target_bias: float) -> dict[str, object]:
    """Correlation and bias of a proxy; NaN where it does not vary."""
    varies = table.scores[name].nunique() > 1
    own_bias = correlated(table.scores[name], table.bias, kind) if varies else np.nan
    return {
        "name": name,
        "rho": judge.rho([name]) if varies else np.nan,
        "in_tolerance": False,
        "information_gain": np.nan,
        "bias": own_bias,
        "bias_distance": rounded(abs(target_bias - own_bias)),
        "role": "",
        "note": "",
    }


def _near(rho: pd.Series, order: Sequence[str], tolerances: Sequence[float]) -> tuple[float, list[str]]:
    """The tolerance that was used, and the proxies within it beside the best."""
    best = rho[order[0]]
    for tolerance in tolerances:
        near = [name for name in order[1:] if rounded(best - tolerance) < rho[name]]
        if len(near) >= len(ROLES) - 1:
            break
    return tolerance, near


def _add_gains(
    rows: pd.DataFrame, table: Candidates, z1: str, near: Sequence[str], n_bins: int, binning: Binning
) -> None:
    def codes(column: pd.Series) -> Codes:
        return information.discretised(column.to_numpy(dtype=float), n_bins, binning)

    target, first = codes(table.target), codes(table.scores[z1])
    alone = information.conditional_entropy(target, [first])
    for name in near:
        together = information.conditional_entropy(target, [first, codes(table.scores[name])])
        rows.loc[name, "information_gain"] = rounded(alone - together)


def _least(rows: pd.DataFrame, names: Sequence[str], column: str) -> list[str]:
    """The name with the least value, ties going to the higher rho, then to the name; none of none."""
    if not names:
        return []
    ordered = rows.loc[list(names)].sort_values([column, "rho", "name"], ascending=[True, False, True])
    return [str(ordered.index[0])]
