"""Algorithm 1 of LIBRA in plain Python, and tables whose numbers follow by hand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

N_ROWS = 11
"""Of tables by hand: with n (n^2 - 1) = 1320 a sum of squared rank differences S makes a correlation 1 - S / 220."""


def swapped(*pairs: tuple[int, int]) -> list[float]:
    """0 .. 10 with the values of some pairs of rows exchanged; a pair at distance d adds 2 d^2 to S."""
    values = [float(row) for row in range(N_ROWS)]
    for a, b in pairs:
        values[a], values[b] = values[b], values[a]
    return values


def by_hand(**columns: Sequence[float]) -> pd.DataFrame:
    """A table of the columns and of `acc`, which is 0 .. 10 in its order."""
    index = pd.Index([f"{row:03d}" for row in range(N_ROWS)], name="arch")
    return pd.DataFrame({"acc": swapped(), **columns}, index=index)


def ranks(values: Sequence[float]) -> list[float]:
    return [sum(v < x for v in values) + (sum(v == x for v in values) + 1) / 2 for x in values]


def pearson(first: Sequence[float], second: Sequence[float]) -> float:
    centred = [[x - math.fsum(values) / len(values) for x in values] for values in (first, second)]
    squares = [math.fsum(x * x for x in values) for values in centred]
    return math.fsum(a * b for a, b in zip(*centred, strict=True)) / math.sqrt(squares[0] * squares[1])


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    return pearson(ranks(first), ranks(second))


def binned(values: Sequence[float], n_bins: int) -> list[int]:
    width = (max(values) - min(values)) / n_bins
    return [sum(x >= min(values) + k * width for k in range(1, n_bins)) for x in values]


def bits(*columns: Sequence[int]) -> float:
    counts = Counter(zip(*columns, strict=True)).values()
    return math.fsum(count / sum(counts) * math.log2(sum(counts) / count) for count in counts)


@dataclass
class Expected:
    selection: tuple[str, ...]
    rho: dict[str, float]
    gains: dict[str, float]
    biases: dict[str, float]
    target_bias: float


def algorithm_1(
    proxies: Mapping[str, Sequence[float]],
    y: Sequence[float],
    size: Sequence[float],
    n_bins: int,
    correlation: Callable[[Sequence[float], Sequence[float]], float],
    tolerance: float = 0.1,
) -> Expected:
    """The choice among columns of values without ties, by the text of the paper."""
    rho = {name: spearman(z, y) for name, z in proxies.items()}
    z1 = max(rho, key=lambda name: rho[name])
    codes = {name: binned(z, n_bins) for name, z in proxies.items()}
    target = binned(y, n_bins)
    alone = bits(target, codes[z1]) - bits(codes[z1])
    near = [name for name in proxies if name != z1 and rho[z1] - tolerance < rho[name]]
    gains = {name: alone - (bits(target, codes[z1], codes[name]) - bits(codes[z1], codes[name])) for name in near}
    z2 = min(gains, key=lambda name: gains[name])
    biases = {name: correlation(z, size) for name, z in proxies.items()}
    of_target = correlation(y, size)
    z3 = min((name for name in near if name != z2), key=lambda name: abs(of_target - biases[name]))
    return Expected((z1, z2, z3), rho, gains, biases, of_target)
