"""Proxies that are ranks among networks: from the parts of each network to one number a network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from lswag_fast.errors import InputError
from lswag_fast.proxies import ProxyInfo, get_proxy
from lswag_fast.result import Score

Scored = Mapping[str, Score]


def rank_networks(scores: Sequence[Scored], proxy: str) -> list[float]:
    """Rank networks among each other by a proxy that is made of the ranks of others (az_nas, az_nas_vit, te_nas).

    Args:
        scores: for each network what `score_many` returned for it, with the parts of the proxy.
        proxy: a name of `list_proxies()` with `parts`.

    Returns:
        One number a network, in the order of `scores`, higher is better: over the parts k, with rank n for the best of
        the n networks that count and ties sharing their mean rank, sum ln(rank_k / n) of az_nas (Lee, Ham, CVPR 2024)
        or sum rank_k of te_nas (Chen, Gong, Wang, ICLR 2021). It depends on which networks are ranked together. A
        network with a part that is not finite has NaN and takes no part in the ranks.

    Raises:
        InputError: a proxy without parts, no network, or a network that lacks a part.
    """
    info = get_proxy(proxy)
    if not info.parts:
        raise InputError(f"{proxy} is a number of one network by itself; sort the networks by it")
    if not scores:
        raise InputError("scores is empty; give what score_many returned for each network")
    columns = [_column(scores, get_proxy(part), proxy) for part in info.parts]
    counts = np.isfinite(columns).all(axis=0)
    ranks = np.array([rankdata(column[counts]) for column in columns])
    result = np.full(len(scores), math.nan)
    result[counts] = (np.log(ranks / counts.sum()) if info.aggregate == "log_rank_sum" else ranks).sum(axis=0)
    return [float(value) for value in result]


def _column(scores: Sequence[Scored], part: ProxyInfo, proxy: str) -> NDArray[np.float64]:
    """A part's value for every network, signed so that more is better."""
    lacking = [position for position, found in enumerate(scores) if part.name not in found]
    if lacking:
        raise InputError(
            f"{proxy} needs {part.name}, which network {lacking[0]} lacks; score_many(proxies=[{proxy!r}]) gives it"
        )
    sign = 1 if part.higher_is_better else -1
    return sign * np.array([float(found[part.name]) for found in scores])
