"""The default rule of LIBRA: how much the rank of each proxy counts, fitted to the ranks of the target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls
from scipy.stats import rankdata

from lswag_fast.libra.halves import cuts
from lswag_fast.libra.judge import Candidates, Judge, rounded
from lswag_fast.libra.ranks import Matrix
from lswag_fast.libra.windows import NOBODY, Rows, Values, Windows

PENALTY = 5.0
"""Of the squared distance of the weights from the best proxy alone, in architectures: as much as five of them say."""

LEAST_SHARE = 0.02
"""Of the sum of the weights; a proxy with less of it is left out, and costs a search nothing."""


@dataclass(frozen=True)
class WeightedMembers:
    """The proxies that count, and how much.

    Attributes:
        names: those with a weight, the largest first.
        weights: theirs, with the sum 1.
        gain: by how much more they correlated with the target than the best proxy alone, on halves that neither was
            fitted to: the mean.
        standard_error: the standard deviation of that gain over the halves, which is the standard error of a sample as
            large as the whole table (see `lswag_fast.libra.halves.join_by_gain`).
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]
    gain: float
    standard_error: float


def fitted_weights(scores: Matrix, target: Values, windows: Windows, best: int) -> Values:
    """Fit non-negative weights of the logarithms of ranks to the ranks of the target, by ridge regression.

    What is penalised is the distance from the best proxy alone, with the weight that fits it: few architectures say
    little about the others, and then little is added to it. Ranks are those inside each window, as a search ranks the
    candidates of its budget among themselves; a window counts as often as architectures have it.

    Args:
        scores: (n, proxies), higher is better.
        target: (n,).
        windows: of the n architectures.
        best: the column of the best proxy.

    Returns:
        (proxies,) weights >= 0, all 0 where no proxy ranks better than chance.

    Example:
        >>> from lswag_fast.libra.windows import everything
        >>> y = np.arange(50.0)
        >>> right, wrong = fitted_weights(np.stack([y, -y], axis=1), y, everything(50), best=0)
        >>> bool(right > 0), float(wrong)
        (True, 0.0)
    """
    products, towards = np.zeros((scores.shape[1],) * 2), np.zeros(scores.shape[1])
    for places, count in zip(windows.rows, windows.counts, strict=True):
        rows = places[places != NOBODY]
        logs = np.log(rankdata(scores[rows], axis=0) / len(rows))
        wanted = rankdata(target[rows]) / len(rows)
        logs, wanted = logs - logs.mean(axis=0), wanted - wanted.mean()
        products += count / len(rows) * logs.T @ logs
        towards += count / len(rows) * logs.T @ wanted
    if products[best, best] > 0:  # constant in all windows, it fits nothing
        towards[best] += PENALTY * max(towards[best], 0.0) / products[best, best]
    # The same least squares in as many rows as there are proxies: R'R are the products and the penalty.
    root = np.linalg.cholesky(products + PENALTY * np.eye(len(towards)))
    weights: Values = nnls(root.T, np.linalg.solve(root, towards))[0]
    return weights


def weighted_members(table: Candidates, n_halves: int, seed: int) -> WeightedMembers | None:
    """Weigh all proxies, if that pays by more than chance where it was not fitted.

    Args:
        table: the architectures.
        n_halves: on how many halves weights are fitted, to be judged on the others.
        seed: of the halves.

    Returns:
        The members; None where they rank halves that they were not fitted to no better than the best proxy of the other
        half alone, or by no more than the standard error of that gain.

    Example:
        >>> import pandas as pd
        >>> rng = np.random.default_rng(0)
        >>> y = pd.Series(rng.normal(size=100))
        >>> scores = pd.DataFrame({name: y + rng.normal(size=100) for name in ("nwot", "zico")})
        >>> weighted_members(Candidates(scores, y, y), 5, seed=0).names
        ('nwot', 'zico')
    """
    scores, target = table.scores.to_numpy(dtype=float), table.target.to_numpy(dtype=float)
    gains = np.array([_gain(table, here, rest) for here, rest in cuts(table, n_halves, seed)])
    best = _best_place(Judge(table, None, "log_rank"), table)
    weights = fitted_weights(scores, target, table.windows(np.arange(len(table))), best)
    if not rounded(gains.mean()) > rounded(gains.std(ddof=1)) or not weights.any():
        return None
    counts = weights >= LEAST_SHARE * weights.sum()
    shares = weights[counts] / weights[counts].sum()
    names = table.scores.columns[counts]
    order = sorted(range(len(names)), key=lambda place: (-rounded(shares[place]), names[place]))
    return WeightedMembers(
        names=tuple(str(names[place]) for place in order),
        weights=tuple(rounded(shares[place]) for place in order),
        gain=rounded(gains.mean()),
        standard_error=rounded(gains.std(ddof=1)),
    )


def _gain(table: Candidates, here: Rows, rest: Rows) -> float:
    """How much better weights that were fitted to one half rank the other than the best proxy of the first."""
    scores, target = table.scores.to_numpy(dtype=float)[here], table.target.to_numpy(dtype=float)[here]
    first, other = (Judge(table, rows, "log_rank") for rows in (here, rest))
    best = _best_place(first, table)
    weights = dict(zip(table.scores.columns, fitted_weights(scores, target, table.windows(here), best), strict=True))
    counting = {name: weight for name, weight in weights.items() if weight > 0}
    together = other.rho(list(counting), list(counting.values())) if counting else 0.0
    return together - other.rho([table.scores.columns[best]])


def _best_place(judge: Judge, table: Candidates) -> int:
    """The column of the proxy that ranks a judge's rows best."""
    return int(np.argmax([judge.rho([name]) for name in table.scores.columns]))
