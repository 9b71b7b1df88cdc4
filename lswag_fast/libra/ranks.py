"""How the ranks of several proxies become one number: the formulas, on plain arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lswag_fast.errors import InputError

Matrix = NDArray[np.float64]
Aggregate = Literal["log_rank", "mean_rank", "rank_sum", "product"]
AGGREGATES: tuple[str, ...] = get_args(Aggregate)


def check_aggregate(name: str, value: object) -> None:
    """Refuse what is no way to combine proxies.

    Args:
        name: of the argument, for the message.
        value: what was given for it.

    Raises:
        InputError: it is none of `AGGREGATES`.
    """
    if value not in AGGREGATES:
        raise InputError(f"{name} must be one of {', '.join(AGGREGATES)}, got {value!r}")


def check_weights(weights: Sequence[float] | None, names: Sequence[str], how: Aggregate) -> None:
    """Refuse weights that do not belong to proxies and their combination.

    Raises:
        InputError: they are not one number other than 0 for each proxy, `how` is not "log_rank", or the only proxy
            counts against.
    """
    if weights is None:
        return
    if how != "log_rank":
        raise InputError(f"rank weights are for log_rank, the combination is {how}; leave one of them out")
    if not _is_list(weights) or len(weights) != len(names) or not all(map(_counts, weights)):
        given = " ".join(repr(weights).split())  # an array's has several lines
        raise InputError(f"rank weights must be a number other than 0 for each of {', '.join(names)}, got {given}")
    if len(names) == 1 and weights[0] < 0:
        raise InputError(
            f"{names[0]} cannot count against without another proxy, its rank weight is {float(weights[0])}"
        )


def _is_list(weights: object) -> bool:
    """Whether the order of weights is that of the proxies, as it is not in a set, a mapping or a labelled Series."""
    return isinstance(weights, Sequence) or (isinstance(weights, np.ndarray) and weights.ndim == 1)


def _counts(weight: object) -> bool:
    """Whether it is a finite number other than 0."""
    if isinstance(weight, bool) or not isinstance(weight, (int, float, np.integer, np.floating)):
        return False
    try:
        number = float(weight)
    except OverflowError:  # a whole number that no float holds
        return False
    return number != 0 and math.isfinite(number)


def counting_against(names: Sequence[str], weights: Sequence[float] | None) -> tuple[str, ...]:
    """Return the proxies whose weight is below 0; none where there are no weights.

    Example:
        >>> counting_against(["nwot", "flops"], [0.7, -0.3])
        ('flops',)
    """
    return () if weights is None else tuple(name for name, weight in zip(names, weights, strict=True) if weight < 0)


def combine_ranks(ranks: Matrix, n: int | Matrix, how: Aggregate, weights: Sequence[float] | None = None) -> Matrix:
    """Combine ranks into one number per row, higher is better.

    Args:
        ranks: (..., proxies), of rows among n: n for the best, ties sharing their mean rank.
        n: how many rows were ranked together; an array where that differs, shaped to divide `ranks`.
        how: "log_rank", the sum of ln(rank / n) (AZ-NAS, CVPR 2024); "mean_rank", the mean of rank / n; "rank_sum", the
            sum of the ranks (TE-NAS, ICLR 2021).
        weights: (proxies,) of the logarithms in "log_rank", below 0 where a proxy counts against; None for 1 each.

    Returns:
        (...) the combined numbers.

    Example:
        >>> import numpy as np
        >>> combine_ranks(np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 3.0]]), 3, "rank_sum")
        array([3., 3., 6.])
    """
    combined: Matrix
    if how == "rank_sum":
        combined = ranks.sum(axis=-1)
    elif how == "mean_rank":
        combined = (ranks / n).mean(axis=-1)
    else:
        logs = np.log(ranks / n)
        combined = logs.sum(axis=-1) if weights is None else logs @ np.array(weights)
    return combined


def combine_values(values: Matrix, least: Matrix, largest: Matrix) -> Matrix:
    """Multiply values scaled to [0, 1] by the least and the largest of each proxy ("product"), higher is better.

    Args:
        values: (..., proxies).
        least: of each proxy, of all rows that count.
        largest: of the same rows; where it equals the least, the proxy counts as 1.

    Returns:
        (...) the products, 0 for a row that is least in one of the proxies.

    Example:
        >>> import numpy as np
        >>> combine_values(np.array([[1.0, 10.0], [3.0, 30.0]]), np.array([1.0, 0.0]), np.array([5.0, 40.0]))
        array([0.   , 0.375])
    """
    spread = largest - least
    product: Matrix = np.where(spread > 0, (values - least) / np.where(spread > 0, spread, 1), 1).prod(axis=-1)
    return product
