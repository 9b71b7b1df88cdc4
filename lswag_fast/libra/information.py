"""Entropies of binned columns, as LIBRA uses them (supplement G, after NAS-Bench-Suite-Zero)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from lswag_fast.errors import InputError

Logarithm = Literal["natural", "base10"]
Binning = Literal["equal_width", "equal_count", "ranks"]
Codes = NDArray[np.int64]


def sturges_bins(n_rows: int, logarithm: Logarithm = "natural") -> int:
    """Return the number of bins, round(1 + 3.322 log n).

    Args:
        n_rows: n, the number of rows.
        logarithm: "natural", as the notebook of NAS-Bench-Suite-Zero takes it; "base10", as Sturges' rule has it.

    Raises:
        InputError: another logarithm.

    Example:
        >>> sturges_bins(1000), sturges_bins(1000, "base10")
        (24, 11)
    """
    if logarithm not in get_args(Logarithm):
        raise InputError(f"logarithm must be one of {', '.join(get_args(Logarithm))}, got {logarithm!r}")
    return round(1 + 3.322 * (math.log(n_rows) if logarithm == "natural" else math.log10(n_rows)))


def discretised(values: NDArray[np.float64], n_bins: int, binning: Binning = "equal_width") -> Codes:
    """Return the bin of each value; a value on an edge lies in the upper bin, the largest in the last.

    Args:
        values: (n,).
        n_bins: number of bins.
        binning: "equal_width", edges evenly from the least to the largest value, as in the notebook of
            NAS-Bench-Suite-Zero: one outlier puts all other values into one bin. "equal_count", edges at the quantiles.
            "ranks", evenly over the ranks, ties sharing theirs, which no monotone transform of the values changes.

    Returns:
        (n,) whole numbers 0 .. n_bins - 1.

    Raises:
        InputError: another binning.

    Example:
        >>> values = np.array([0.0, 1.0, 2.0, 100.0])
        >>> discretised(values, 2).tolist(), discretised(values, 2, "ranks").tolist()
        ([0, 0, 0, 1], [0, 0, 1, 1])
    """
    if binning not in get_args(Binning):
        raise InputError(f"binning must be one of {', '.join(get_args(Binning))}, got {binning!r}")
    if binning == "ranks":
        values = rankdata(values)
    if binning == "equal_count":
        edges = np.quantile(values, np.linspace(0, 1, n_bins + 1))
    else:
        edges = np.linspace(values.min(), values.max(), n_bins + 1)  # of a range of a few roundings too
    return np.searchsorted(edges[1:-1], values, side="right").astype(np.int64)


def entropy(columns: Sequence[Codes]) -> float:
    """Return the plug-in entropy, in bits, of the joint distribution of discretised columns.

    Args:
        columns: each (n,).

    Example:
        >>> entropy([np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])])
        2.0
    """
    _, counts = np.unique(np.stack(columns, axis=1), axis=0, return_counts=True)
    p = counts / counts.sum()
    return max(0.0, -float((p * np.log2(p)).sum()))  # -0.0 of a constant


def conditional_entropy(target: Codes, given: Sequence[Codes]) -> float:
    """Return H(target | given) = H(target, given) - H(given), in bits.

    Args:
        target: (n,) discretised.
        given: discretised columns, each (n,).

    Example:
        >>> conditional_entropy(np.array([0, 0, 1, 1]), [np.array([0, 1, 0, 1])])
        1.0
    """
    return entropy([target, *given]) - entropy(given)
