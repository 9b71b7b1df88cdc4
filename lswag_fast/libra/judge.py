"""How well combinations of proxies rank a target, on any rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from lswag_fast.libra.ranks import Aggregate, Matrix, combine_ranks, combine_values
from lswag_fast.libra.windows import ComparisonWindow, Rows, Values, Windows, everything

_DECIMALS = 12


def rounded(value: float) -> float:
    """Round what is compared, so that equal numbers are ties and bounds are strict however sums were rounded."""
    return round(float(value), _DECIMALS) + 0.0  # no -0.0


@dataclass(frozen=True)
class Candidates:
    """A table to select on, all of it finite and indexed alike.

    Attributes:
        scores: architectures x proxies, higher is better in each column.
        target: the accuracy.
        bias: what the proxies may be biased to.
        sizes: by which architectures lie in one window; None to compare all with all.
        window: of those sizes.
    """

    scores: pd.DataFrame
    target: pd.Series
    bias: pd.Series
    sizes: pd.Series | None = None
    window: ComparisonWindow | None = None

    def __len__(self) -> int:
        """Architectures."""
        return len(self.target)

    def windows(self, rows: Rows) -> Windows:
        """Return what is compared with what among some rows: without a window all with all."""
        if self.sizes is None or self.window is None:
            return everything(len(rows))
        return self.window.among(self.sizes.to_numpy()[rows])


class Judge:
    """Ranks some rows of a table by combinations of its proxies.

    Args:
        table: the architectures.
        rows: (m,) which of them; None for all.
        combine: how proxies are combined, see `rank_aggregate`.

    Example:
        >>> y = pd.Series([1.0, 2.0, 3.0, 4.0])
        >>> table = Candidates(pd.DataFrame({"nwot": y, "snip": [2.0, 1.0, 4.0, 3.0]}), y, y)
        >>> judge = Judge(table, None, "log_rank")
        >>> judge.rho(["nwot"]), judge.rho(["snip"])
        (1.0, 0.6)
    """

    def __init__(self, table: Candidates, rows: Rows | None, combine: Aggregate) -> None:
        chosen = np.arange(len(table)) if rows is None else rows
        self._columns = {str(name): place for place, name in enumerate(table.scores.columns)}
        self._values: Matrix = table.scores.to_numpy(dtype=float)[chosen]
        self._ranks: Matrix = cast(Matrix, rankdata(self._values, axis=0))
        self._target: Values = table.target.to_numpy(dtype=float)[chosen]
        self._combine = combine
        self.windows = table.windows(chosen)

    def rho(self, names: Sequence[str], weights: Sequence[float] | None = None) -> float:
        """Return the Spearman correlation of a combination with the target, of the windows' mean where there are some.

        0 where the combination is the same for all: a product of which each row has a factor 0 ranks nothing.
        """
        columns = [self._columns[name] for name in names]
        return rounded(self.windows.spearman(self._combined(columns, weights), self._target))

    def _combined(self, columns: list[int], weights: Sequence[float] | None) -> Matrix:
        if self._combine == "product":
            values = self._values[:, columns]
            return combine_values(values, values.min(axis=0), values.max(axis=0))
        return combine_ranks(self._ranks[:, columns], len(self._ranks), self._combine, weights)
