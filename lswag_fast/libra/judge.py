"""How well combinations of proxies rank a target, on any rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lswag_fast.libra.ranks import Aggregate, Matrix, combine_ranks, combine_values
from lswag_fast.libra.windows import ComparisonWindow, Rows, Windows, centred, everything, ranks_inside

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

    With a window, proxies are combined by their ranks inside each window, as a search under a budget ranks the
    candidates of its budget among themselves.

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
        self.windows = table.windows(chosen)
        self._columns = {str(name): place for place, name in enumerate(table.scores.columns)}
        self._values = table.scores.to_numpy(dtype=float)[chosen]
        self._ranks: dict[int, Matrix] = {}
        self._target = self.windows.inside(table.target.to_numpy(dtype=float)[chosen])
        self._wanted = centred(ranks_inside(self._target))
        self._combine = combine

    def rho(self, names: Sequence[str], weights: Sequence[float] | None = None) -> float:
        """Return the Spearman correlation of a combination with the target, of the windows' mean where there are some.

        0 where the combination is the same for all: a product of which each row has a factor 0 ranks nothing.
        """
        columns = [self._columns[name] for name in names]
        if len(columns) == 1 and self._combine != "product":  # a proxy alone is ordered as its ranks are
            ranks = self._ranks_of(columns[0])
        else:
            ranks = ranks_inside(self._combined(columns, weights))
        return rounded(self.windows.of_ranks(centred(ranks), self._wanted))

    def _combined(self, columns: list[int], weights: Sequence[float] | None) -> Matrix:
        """(windows, widest) some proxies as one number, NaN for nobody."""
        if self._combine == "product":
            return self._products(columns)
        ranks = np.stack([self._ranks_of(column) for column in columns], axis=-1)
        sizes = (~np.isnan(self._target)).sum(axis=1)[:, None, None]
        return combine_ranks(ranks, sizes, self._combine, weights)

    def _ranks_of(self, column: int) -> Matrix:
        """(windows, widest), computed once for all combinations that it is part of."""
        if column not in self._ranks:
            self._ranks[column] = ranks_inside(self.windows.inside(self._values[:, column]))
        return self._ranks[column]

    def _products(self, columns: list[int]) -> Matrix:
        values = np.stack([self.windows.inside(self._values[:, column]) for column in columns], axis=-1)
        least, largest = (pick(values, axis=1, keepdims=True) for pick in (np.nanmin, np.nanmax))
        return np.where(np.isnan(self._target), np.nan, combine_values(values, least, largest))
