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
"""Of the sum of the magnitudes; a proxy with less of it is left out, and costs a search nothing."""


@dataclass(frozen=True)
class WeightedMembers:
    """The proxies that count, and how much.

    Attributes:
        names: those with a weight, the largest first.
        weights: theirs, below 0 for a proxy that counts against; their magnitudes have the sum 1.
        gain: by how much more they correlated with the target than the best proxy alone, on halves that neither was
            fitted to: the mean.
        standard_error: the standard deviation of that gain over the halves, which is the standard error of a sample as
            large as the whole table (see `lswag_fast.libra.halves.join_by_gain`).
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]
    gain: float
    standard_error: float


def fitted_weights(scores: Matrix, target: Values, windows: Windows, best: int) -> Matrix:
    """Fit weights of the logarithms of ranks to the ranks of the target, by ridge regression.

    What is penalised is the distance from the best proxy alone, with the weight that fits it: few architectures say
    little about the others, and then little is added to it. Ranks are those inside each window, as a search ranks the
    candidates of its budget among themselves; a window counts as often as architectures have it.

    Args:
        scores: (n, proxies), higher is better.
        target: (n,).
        windows: of the n architectures.
        best: the column of the best proxy.

    Returns:
        (2, proxies): weights of at least 0, all 0 where no proxy ranks better than chance; and weights of either sign.
        Where sizes differ little, many proxies rank the wrong way round, and with a weight below 0 they count against.

    Example:
        >>> from lswag_fast.libra.windows import everything
        >>> y = np.arange(50.0)
        >>> fitted_weights(np.stack([y, -y], axis=1), y, everything(50), best=0).round(2).tolist()
        [[0.3, 0.0], [0.22, -0.12]]
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
    along = np.linalg.solve(root, towards)
    return np.stack([nnls(root.T, along)[0], np.linalg.solve(root.T, along)])


def weighted_members(table: Candidates, n_halves: int, seed: int) -> WeightedMembers | None:
    """Weigh all proxies, if that pays by more than chance where it was not fitted.

    Weights below 0 have to pay as well: they are taken if they rank halves that they were not fitted to better than
    what would be taken without them, by more than the standard error of that gain.

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
    gains = np.array([_gains(table, here, rest) for here, rest in cuts(table, n_halves, seed)])
    taken: tuple[Values, Values] | None = None
    for gained, weights in zip(gains.T, _fitted(table, np.arange(len(table))), strict=True):
        if _pays(gained if taken is None else gained - taken[0]) and _ranks(weights):
            taken = gained, weights
    return None if taken is None else _members(table, *taken)


def _pays(gains: Values) -> bool:
    """Whether a gain is larger than its standard error, to the digits that do not vary between computers."""
    return rounded(gains.mean()) > rounded(gains.std(ddof=1))


def _ranks(weights: Values) -> bool:
    """Whether weights make an order that can be used: one proxy cannot count against without another."""
    return bool((weights > 0).any() or np.count_nonzero(_shares(weights)) > 1)


def _shares(weights: Values) -> Values:
    """Weights whose magnitudes have the sum 1, to the digits that do not vary between computers."""
    total = np.abs(weights).sum()
    return np.array([rounded(weight / total) for weight in weights]) if total > 0 else weights


def _members(table: Candidates, gains: Values, weights: Values) -> WeightedMembers:
    """Those that count, the largest weight first."""
    magnitudes = np.abs(weights)
    counts = magnitudes >= LEAST_SHARE * magnitudes.sum()
    if counts.sum() == 1 and weights[counts] < 0:  # it needs another beside it, which then mostly breaks its ties
        counts = magnitudes >= np.sort(magnitudes)[-2]
    shares = weights[counts] / magnitudes[counts].sum()
    names = table.scores.columns[counts]
    order = sorted(range(len(names)), key=lambda place: (-abs(rounded(shares[place])), names[place]))
    return WeightedMembers(
        names=tuple(str(names[place]) for place in order),
        weights=tuple(rounded(shares[place]) for place in order),
        gain=rounded(gains.mean()),
        standard_error=rounded(gains.std(ddof=1)),
    )


def _gains(table: Candidates, here: Rows, rest: Rows) -> list[float]:
    """How much better weights that were fitted to one half rank the other than the best proxy of the first.

    One number for weights of at least 0, and one for those of either sign.
    """
    names, other = table.scores.columns, Judge(table, rest, "log_rank")
    alone = other.rho([names[_best_place(table, here)]])
    gains = []
    for weights in _fitted(table, here):
        counting = {name: weight for name, weight in zip(names, weights, strict=True) if weight}
        together = other.rho(list(counting), list(counting.values())) if counting else 0.0
        gains.append(together - alone)
    return gains


def _fitted(table: Candidates, rows: Rows) -> Matrix:
    """The weights that some rows of a table say, see `fitted_weights`."""
    scores, target = table.scores.to_numpy(dtype=float)[rows], table.target.to_numpy(dtype=float)[rows]
    return fitted_weights(scores, target, table.windows(rows), _best_place(table, rows))


def _best_place(table: Candidates, rows: Rows) -> int:
    """The column of the proxy that ranks some rows best."""
    judge = Judge(table, rows, "log_rank")
    return int(np.argmax([judge.rho([name]) for name in table.scores.columns]))
