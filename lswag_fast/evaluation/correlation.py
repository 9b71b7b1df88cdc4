"""How well proxies rank architectures: rank correlations with an accuracy, with bootstrap confidence intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

from lswag_fast.data.tables import check_frame, finite_numbers, numbers
from lswag_fast.errors import InputError, TableError
from lswag_fast.libra.windows import ComparisonWindow, Rows, check_window
from lswag_fast.option_checks import check_count, check_names, is_integer
from lswag_fast.proxies import list_proxies

TOP_FRACTION = 0.05
NDCG_PLACES = 10
CONFIDENCE = 0.95
MOST_RESAMPLES = 1_000_000
"""More would run for days, and tell nothing that fewer do not."""
Values = NDArray[np.float64]
Measure = Callable[[Rows], float]
"""Of some rows, which may be drawn repeatedly."""


def correlate(
    table: pd.DataFrame,
    target: str,
    proxies: Sequence[str],
    *,
    window: ComparisonWindow | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Rank correlations of proxies with a target.

    Args:
        table: as of `lswag_fast.data.tables`.
        target: the column of the accuracy.
        proxies: the columns to compare with it. Registered proxies for which lower is better are negated.
        window: the correlation is also measured inside such windows, as the budget of a search sees it: the mean of
            the Spearman correlations inside the window of each architecture, see `lswag_fast.libra.windows`.
        n_bootstrap: resamples of the architectures for the intervals, 0 for none.
        seed: of the resamples, which are the same for all proxies.

    Returns:
        One row per proxy, in the order given: spearman, kendall (tau-b), top5 (the part of the 5 % best architectures
        that is among the 5 % best by the proxy) and ndcg10 (how good the ten best by the proxy are, see below), each
        with NAME_low and NAME_high, the percentile interval of 95 %, ties broken by the order of the rows; n, the rows
        used, and n_dropped, those where proxy or target is NaN or infinite. With a window also inside, inside_low and
        inside_high, and n_inside, the architectures whose window holds at least 10.

        A proxy that is constant has NaN, as has one in whose rows the target is. For ndcg10 an architecture gains by
        how far its target is above the least one; gains are divided by the binary logarithm of the place plus 1 and
        added over the first ten places by the proxy, and this is divided by what the ten best would give.

    Raises:
        TableError: a column is not there or has fewer than 10 finite rows, or no window holds 10; or the
            target is the same in every row.
        InputError: n_bootstrap is negative, 1 or beyond a million, the seed is negative, there is no proxy, one is the
            target, or the window is none.

    Example:
        >>> table = pd.DataFrame({"accuracy": range(20), "params": [n**2 for n in range(20)]})
        >>> found = correlate(table, "accuracy", ["params"], n_bootstrap=0)
        >>> float(found.loc["params", "spearman"]), int(found.loc["params", "n"])
        (1.0, 20)
    """
    if not is_integer(n_bootstrap) or not (n_bootstrap == 0 or 2 <= n_bootstrap <= MOST_RESAMPLES):
        given = f"{n_bootstrap:,}" if is_integer(n_bootstrap) else repr(n_bootstrap)
        raise InputError(f"n_bootstrap must be 0 for no intervals, or from 2 to {MOST_RESAMPLES:,}, got {given}")
    check_count("seed", seed, 0)
    check_window(window)
    check_frame(table)
    check_names("proxies", proxies)
    if target in proxies:
        raise InputError(f"the target {target!r} is among the proxies; leave it out there")
    known = numbers(table, [target])[target].replace([np.inf, -np.inf], np.nan).dropna()
    if known.nunique() == 1:
        raise TableError(f"the target {target!r} is {known.iloc[0]:g} in every row; there is nothing to rank")
    lower = {info.name for info in list_proxies() if not info.higher_is_better}
    rows = {}
    for name in proxies:
        kept, n_dropped = finite_numbers(table, [name, target])
        sizes = None if window is None else window.sizes(table)[kept.index].to_numpy()
        z = -kept[name].to_numpy() if name in lower else kept[name].to_numpy()
        found = _row(z, kept[target].to_numpy(), sizes, window, n_bootstrap, seed)
        rows[name] = {**found, "n": len(kept), "n_dropped": n_dropped}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("proxy")


def _row(
    z: Values, y: Values, sizes: Values | None, window: ComparisonWindow | None, n_bootstrap: int, seed: int
) -> dict[str, float]:
    """Every measure of one proxy, inside windows of these sizes, too."""
    measures = _measures(z, y)
    if window is None or sizes is None:
        return _with_intervals(measures, z, y, n_bootstrap, seed)
    windows = window.among(sizes)
    windows.check(window)
    measures["inside"] = _inside(z, y, sizes, window)
    return {**_with_intervals(measures, z, y, n_bootstrap, seed), "n_inside": len(z) - windows.n_left_out}


def _measures(z: Values, y: Values) -> dict[str, Measure]:
    """Each measure of the whole table."""

    def of_rows(measure: Callable[[Values, Values], float]) -> Measure:
        return lambda rows: measure(z[rows], y[rows])

    return {name: of_rows(measure) for name, measure in _MEASURES.items()}


def _inside(z: Values, y: Values, sizes: Values, window: ComparisonWindow) -> Measure:
    """The mean correlation inside the windows of the rows."""
    return lambda rows: window.among(sizes[rows]).spearman(z[rows], y[rows])


def _with_intervals(
    measures: dict[str, Measure], z: Values, y: Values, n_bootstrap: int, seed: int
) -> dict[str, float]:
    """Every measure, and its interval over resamples; NaN where the values of the proxy or the target are all one."""
    if len(np.unique(z)) == 1 or len(np.unique(y)) == 1:
        return {f"{name}{end}": np.nan for name in measures for end in ("", "_low", "_high")}
    rng = np.random.default_rng(seed)
    resamples = [rng.integers(len(z), size=len(z)) for _ in range(n_bootstrap)]
    found: dict[str, float] = {}
    for name, measure in measures.items():
        found[name] = measure(np.arange(len(z)))
        again = [measure(rows) for rows in resamples]
        tail = 100 * (1 - CONFIDENCE) / 2
        ends = np.nanpercentile(again, [tail, 100 - tail]) if again else (np.nan, np.nan)
        found[f"{name}_low"], found[f"{name}_high"] = map(float, ends)
    return found


def _spearman(z: Values, y: Values) -> float:
    if len(np.unique(z)) == 1 or len(np.unique(y)) == 1:  # a resample of few different rows, which scipy warns of
        return float("nan")
    return float(spearmanr(z, y).statistic)


def _kendall(z: Values, y: Values) -> float:
    return float(kendalltau(z, y).statistic)


def _top_overlap(z: Values, y: Values) -> float:
    count = max(1, round(TOP_FRACTION * len(z)))
    best = [set(np.argsort(-values, kind="stable")[:count]) for values in (z, y)]
    return len(best[0] & best[1]) / count


def _ndcg(z: Values, y: Values) -> float:
    gains = y - y.min()
    discounts = 1 / np.log2(np.arange(2, min(NDCG_PLACES, len(y)) + 2))
    found, ideal = ((gains[np.argsort(-by, kind="stable")[: len(discounts)]] * discounts).sum() for by in (z, y))
    return float(found / ideal) if ideal else float("nan")


_MEASURES: dict[str, Callable[[Values, Values], float]] = {
    "spearman": _spearman,
    "kendall": _kendall,
    "top5": _top_overlap,
    "ndcg10": _ndcg,
}
