"""Several proxies as one: aggregates of their ranks among networks."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from lswag_fast.data.tables import check_frame, numbers
from lswag_fast.errors import InputError
from lswag_fast.libra.ranks import Aggregate, Matrix, check_aggregate, check_weights, combine_ranks, combine_values
from lswag_fast.proxies import get_proxy, list_proxies
from lswag_fast.result import Score

Scored = Mapping[str, Score]


def rank_aggregate(
    table: pd.DataFrame, how: Aggregate = "log_rank", weights: Sequence[float] | None = None
) -> pd.Series:
    """Combine several columns into one number per row, higher is better.

    Args:
        table: architectures x proxies, higher is better in each column.
        how: with rank n for the best of the n rows that count, ties sharing their mean rank: "log_rank", sum ln(rank/n)
            (AZ-NAS, CVPR 2024); "mean_rank", mean(rank/n); "rank_sum", sum rank (TE-NAS, ICLR 2021); "product", of the
            scores scaled to [0, 1] by their least and largest, 0 for a row that is least in one of them.
        weights: of the columns in "log_rank", the sum of weight x ln(rank/n); below 0 where a column counts against,
            None for 1 each.

    Returns:
        A Series with the index of the table. It depends on which rows are ranked together. A row that is NaN or
        infinite in a column has NaN and takes no part.

    Raises:
        InputError: another `how`, weights that do not fit, or a table without columns.
        TableError: it is no table, or a value is not a number; names row and column.

    Example:
        >>> table = pd.DataFrame({"nwot": [1.0, 2.0, 3.0], "zico": [5.0, 9.0, 7.0]}, index=["a", "b", "c"])
        >>> rank_aggregate(table, how="rank_sum").to_dict()
        {'a': 2.0, 'b': 5.0, 'c': 5.0}
    """
    check_aggregate("how", how)
    check_frame(table)
    if not len(table.columns):
        raise InputError("a table without columns has nothing to rank by")
    check_weights(weights, list(map(str, table.columns)), how)
    values = numbers(table, table.columns).to_numpy()
    counts = np.isfinite(values).all(axis=1)
    result = pd.Series(math.nan, index=table.index, dtype=float)
    if counts.any():
        result[counts] = _aggregated(values[counts], how, weights)
    return result


def _aggregated(values: Matrix, how: Aggregate, weights: Sequence[float] | None) -> Matrix:
    if how == "product":
        return combine_values(values, values.min(axis=0), values.max(axis=0))
    return combine_ranks(rankdata(values, axis=0), len(values), how, weights)


def oriented(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return some columns of a table so that higher is better in each.

    Args:
        table: indexed by architecture.
        names: of the columns. Those named like a registered proxy for which lower is better are negated, all others are
            taken as they are.

    Example:
        >>> oriented(pd.DataFrame({"te_nas_ntk": [2.0], "own": [3.0]}), ["te_nas_ntk", "own"]).to_dict("records")
        [{'te_nas_ntk': -2.0, 'own': 3.0}]
    """
    lower = {info.name for info in list_proxies() if not info.higher_is_better}
    return pd.DataFrame({name: -table[name] if name in lower else table[name] for name in names}, index=table.index)


def rank_networks(scores: Sequence[Scored], proxy: str) -> list[float]:
    """Rank networks among each other by a proxy that is made of the ranks of others (az_nas, az_nas_vit, te_nas).

    Args:
        scores: for each network what `score_many` returned for it, with the parts of the proxy.
        proxy: a name of `list_proxies()` with `parts`.

    Returns:
        One number per network, in the order of `scores`, higher is better: the `rank_aggregate` of the parts,
        "log_rank" for az_nas (Lee, Ham, CVPR 2024), "rank_sum" for te_nas (Chen, Gong, Wang, ICLR 2021). It depends on
        which networks are ranked together. A network with a part that is not finite has NaN and takes no part in the
        ranks.

    Raises:
        InputError: a proxy without parts, no network, or a network that lacks a part.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from lswag_fast import score_many
        >>> _ = torch.manual_seed(0)
        >>> batch = torch.randn(4, 8), torch.arange(4)
        >>> models = [nn.Sequential(nn.Linear(8, n), nn.ReLU(), nn.Linear(n, 4)) for n in (16, 64)]
        >>> values = rank_networks([score_many(model, batch, proxies=["te_nas"]) for model in models], "te_nas")
        >>> sum(values)  # ranks 1 and 2 in each of two parts
        6.0
    """
    info = get_proxy(proxy)
    if info.aggregate is None:
        raise InputError(f"{proxy} is a number of one network by itself; sort the networks by it")
    if not isinstance(scores, Collection) or not len(scores) or not all(isinstance(found, Mapping) for found in scores):
        raise InputError(f"scores must be a list of what score_many returned for each network, got {scores!r}")
    columns = {part: _column(scores, part, proxy) for part in info.parts}
    return [float(value) for value in rank_aggregate(pd.DataFrame(columns), info.aggregate)]


def _column(scores: Sequence[Scored], part: str, proxy: str) -> list[float]:
    """A part's value for every network, signed so that higher is better."""
    lacking = [position for position, found in enumerate(scores) if part not in found]
    if lacking:
        raise InputError(
            f"{proxy} needs {part}, which network {lacking[0]} lacks; score_many(proxies=[{proxy!r}]) gives it"
        )
    sign = 1 if get_proxy(part).higher_is_better else -1
    return [sign * float(found[part]) for found in scores]
