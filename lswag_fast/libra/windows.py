"""Which architectures are compared with which: those of about one size, as under the budget of a search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lswag_fast.data.tables import MIN_ROWS, check_frame, numbers
from lswag_fast.errors import InputError, TableError
from lswag_fast.libra.ranks import Matrix
from lswag_fast.option_checks import is_number

Values = NDArray[np.float64]
Rows = NDArray[np.int64]

NOBODY = -1
"""Fills the row of a window that is narrower than the widest."""


@dataclass(frozen=True)
class ComparisonWindow:
    """The architectures that are nearly as large as one of them, or alike in some column.

    Attributes:
        column: of the table, for example params.
        share: the window of an architecture holds those whose value differs from its own by no more than this share of
            it; 0 for those with the same value, which may then be text.

    Example:
        >>> ComparisonWindow.parse("params:8%")
        ComparisonWindow(column='params', share=0.08)
        >>> print(ComparisonWindow.parse("params:8%"), "|", ComparisonWindow("embed_dim"))
        params +-8 % | one embed_dim
    """

    column: str
    share: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a share that is none (InputError)."""
        is_float = isinstance(self.share, np.floating) or is_number(self.share)
        if not is_float or not 0 <= self.share < 1:
            raise InputError(f"the share of a window must lie in [0, 1), got {self.share!r}")

    @classmethod
    def parse(cls, text: str) -> ComparisonWindow:
        """Read COLUMN:SHARE%.

        Raises:
            InputError: it is something else, or the share does not lie between 0 and 100 %.
        """
        column, colon, share = text.rpartition(":")
        try:
            value = float(share.removesuffix("%")) / 100
        except ValueError:
            value = np.nan
        if not column or not colon or not share.endswith("%") or not 0 < value < 1:
            raise InputError(f"a window is COLUMN:SHARE%, params:8% say, with a share from 0 to 100 %, got {text!r}")
        return cls(column, value)

    def __str__(self) -> str:
        """Say in words what is compared."""
        return f"{self.column} +-{100 * self.share:g} %" if self.share else f"one {self.column}"

    @property
    def noun(self) -> str:
        """What the architectures that are compared with each other are called."""
        return "window" if self.share else "group"

    @property
    def remedy(self) -> str:
        """What holds more architectures."""
        return "a wider window" if self.share else "a column of fewer values"

    @property
    def inside(self) -> str:
        """Say in words where architectures are compared.

        Example:
            >>> ComparisonWindow("params", 0.08).inside, ComparisonWindow("stage").inside
            ('inside windows of params +-8 %', 'inside groups of one stage')
        """
        return f"inside {self.noun}s of {self}"

    def sizes(self, table: pd.DataFrame) -> pd.Series:
        """Return the column as numbers; equal texts have equal numbers.

        Raises:
            TableError: it is not there, is there twice, is empty for an architecture, holds text where a share of it is
                asked for, or lists.
        """
        check_frame(table)
        if self.column not in table.columns:
            known = ", ".join(map(str, table.columns))
            raise TableError(f"no column {self.column!r} to compare inside of; there are {known}")
        if list(table.columns).count(self.column) > 1:
            raise TableError(f"several columns are named {self.column!r}; keep one of them")
        found = table[self.column]
        if self.share == 0 and not pd.api.types.is_numeric_dtype(found):
            try:
                codes = pd.Series(pd.factorize(found)[0], index=table.index, dtype=float)
            except TypeError as error:
                raise TableError(f"column {self.column!r}: its values name no groups ({error})") from error
            sizes = codes.where(codes >= 0)
        else:
            sizes = numbers(table, [self.column])[self.column]
        lacking = np.flatnonzero(~np.isfinite(sizes))
        if len(lacking):
            raise TableError(f"column {self.column!r} of {table.index[lacking[0]]!r} is empty; a {self.noun} needs it")
        return sizes

    def among(self, sizes: Values) -> Windows:
        """Return the windows of architectures of these sizes.

        Example:
            >>> windows = ComparisonWindow("params", 0.5).among(np.repeat([1.0, 9.0], [10, 2]))
            >>> windows.counts.tolist(), windows.n_left_out
            ([10], 2)
        """
        order = np.argsort(sizes, kind="stable")
        ordered = sizes[order]
        reach = self.share * np.abs(ordered)
        ends = np.stack(
            [np.searchsorted(ordered, ordered - reach, "left"), np.searchsorted(ordered, ordered + reach, "right")]
        )
        (first, last), counts = np.unique(ends, axis=1, return_counts=True)
        kept = last - first >= MIN_ROWS
        first, last, counts = first[kept], last[kept], counts[kept]
        widest = int((last - first).max(initial=0))
        places = first[:, None] + np.arange(widest)
        rows = np.where(places < last[:, None], order[np.minimum(places, len(order) - 1)], NOBODY)
        return Windows(rows, counts, len(sizes) - int(counts.sum()))


def check_window(window: object) -> None:
    """Refuse what is neither a window nor None.

    Raises:
        InputError: it is something else, such as the text that a window is read from.

    Example:
        >>> check_window("params:8%")
        Traceback (most recent call last):
        lswag_fast.errors.InputError: window must be None or a ComparisonWindow, ... got 'params:8%'
    """
    if window is not None and not isinstance(window, ComparisonWindow):
        raise InputError(
            f"window must be None or a ComparisonWindow, ComparisonWindow.parse('params:8%') say, got {window!r}"
        )


@dataclass(frozen=True)
class Windows:
    """The windows of the architectures of a table, each different one once.

    Attributes:
        rows: (windows, widest) the architectures of each, `NOBODY` where it has fewer than the widest.
        counts: (windows,) how many architectures have it for theirs.
        n_left_out: architectures whose window holds fewer than 10.
    """

    rows: Rows
    counts: Rows
    n_left_out: int

    def check(self, window: ComparisonWindow) -> None:
        """Refuse to go on without any.

        Raises:
            TableError: no window holds 10 architectures.
        """
        if not len(self.counts):
            raise TableError(
                f"no {window.noun} of {window} holds {MIN_ROWS} architectures, the fewest whose rank correlation is "
                f"computed; take {window.remedy} or a larger table"
            )

    def spearman(self, z: Values, y: Values) -> float:
        """Return the mean of the Spearman correlations of z with y inside the window of each architecture.

        Where z or y is the same for all in a window, nothing is ranked there, which counts as 0.

        Args:
            z: (n,) finite.
            y: (n,) finite.

        Returns:
            Between -1 and 1; NaN without any window.

        Example:
            >>> sizes = np.repeat([1.0, 2.0], 10)
            >>> y = np.arange(20.0)
            >>> ComparisonWindow("size").among(sizes).spearman(np.where(sizes == 1, y, -y), y)  # right in one half only
            0.0
        """
        return self.correlation(self.inside(z), self.inside(y))

    def inside(self, values: Values) -> Matrix:
        """Return (windows, widest) the values in each window, NaN for nobody.

        Args:
            values: (n,).
        """
        found: Matrix = np.where(self.rows == NOBODY, np.nan, values[self.rows])
        return found

    def correlation(self, z: Matrix, y: Matrix) -> float:
        """Return what `spearman` does, of values that may differ from window to window.

        Args:
            z: (windows, widest), NaN for nobody.
            y: (windows, widest), NaN for nobody.
        """
        return self.of_ranks(centred(ranks_inside(z)), centred(ranks_inside(y)))

    def of_ranks(self, a: Matrix, b: Matrix) -> float:
        """Return what `correlation` does, of ranks that are known.

        Args:
            a: (windows, widest) as `centred` returns them.
            b: (windows, widest) likewise.
        """
        if not len(self.counts):
            return float("nan")
        norms = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
        rho = np.divide((a * b).sum(axis=1), norms, out=np.zeros(len(norms)), where=norms > 0)
        return float(np.average(rho, weights=self.counts))


def ranks_inside(values: Matrix) -> Matrix:
    """Rank the values of each window: 1 for the least, ties sharing their mean rank, NaN for nobody.

    Args:
        values: (windows, widest), see `Windows.inside`.

    Example:
        >>> ranks_inside(np.array([[30.0, 10.0, 30.0], [2.0, 4.0, np.nan]])).tolist()
        [[2.5, 1.0, 2.5], [1.0, 2.0, nan]]
    """
    found: Matrix = pd.DataFrame(values).rank(axis=1).to_numpy()
    return found


def centred(ranks: Matrix) -> Matrix:
    """Return each rank less the mean rank of its window; 0 for nobody.

    Args:
        ranks: (windows, widest), see `ranks_inside`.

    Example:
        >>> centred(np.array([[2.5, 1.0, 2.5], [1.0, 2.0, np.nan]])).tolist()
        [[0.5, -1.0, 0.5], [-0.5, 0.5, 0.0]]
    """
    found: Matrix = np.nan_to_num(ranks - np.nanmean(ranks, axis=1, keepdims=True))
    return found


def everything(n: int) -> Windows:
    """Return the one window of n architectures that are all compared with each other.

    Example:
        >>> everything(3).spearman(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 9.0]))
        1.0
    """
    return Windows(np.arange(n)[None], np.array([n]), 0)
