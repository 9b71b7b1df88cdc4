"""Other ways to combine proxies than by the sum of the logarithms of their ranks, for comparison with LIBRA.

Each takes the scores of the architectures whose labels it may see and those of others (higher is better in every
column) and returns one number per row for both.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge, RidgeCV

from lswag_fast import rank_aggregate

PENALTIES = np.logspace(-3, 3, 13)
N_CLASSES = 3
N_AGREEING = 3

Combined = tuple[pd.Series, pd.Series]


def log_ranks(scores: pd.DataFrame) -> pd.DataFrame:
    """ln(rank / n) of each column."""
    return np.log(scores.rank(pct=True))


def ridge(here: pd.DataFrame, y: pd.Series, rest: pd.DataFrame) -> Combined:
    """A ridge regression of the target's rank on the ranks of all proxies, its penalty by leave-one-out."""
    model = RidgeCV(PENALTIES).fit(here.rank(pct=True), y.rank(pct=True))
    here_predicted, rest_predicted = (model.predict(rows.rank(pct=True)) for rows in (here, rest))
    return pd.Series(here_predicted, here.index), pd.Series(rest_predicted, rest.index)


def weighted(here: pd.DataFrame, y: pd.Series, rest: pd.DataFrame) -> Combined:
    """Log ranks with weights of at least 0, fitted by a ridge regression of penalty 1 on the target's rank."""
    model = Ridge(alpha=1.0, positive=True).fit(log_ranks(here), y.rank(pct=True))
    here_predicted, rest_predicted = (model.predict(log_ranks(rows)) for rows in (here, rest))
    return pd.Series(here_predicted, here.index), pd.Series(rest_predicted, rest.index)


def size_classes(here: pd.DataFrame, y: pd.Series, rest: pd.DataFrame, sizes: pd.Series) -> Combined:
    """The sum of log ranks inside thirds by size, each third at the mean rank that its labels have."""
    edges = sizes[here.index].quantile(np.linspace(0, 1, N_CLASSES + 1)[1:-1]).to_numpy()
    levels = y.rank(pct=True).groupby(np.searchsorted(edges, sizes[here.index])).mean()

    def combined(rows: pd.DataFrame) -> pd.Series:
        classes = pd.Series(np.searchsorted(edges, sizes[rows.index]), rows.index)
        inside = pd.concat([rank_aggregate(part).rank(pct=True) for _, part in rows.groupby(classes)])
        return classes.map(levels).fillna(0.5) + inside[rows.index] / N_CLASSES

    return combined(here), combined(rest)


def agreeing(scores: pd.DataFrame) -> list[str]:
    """The proxies that agree best with all others, by the mean of their Spearman correlations; sees no labels."""
    correlations = scores.corr(method="spearman").fillna(0.0)
    return [str(name) for name in correlations.mean().nlargest(N_AGREEING).index]
