"""What a search maximises: one proxy, or several combined by their ranks over everything seen so far."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, SupportsFloat

from lswag_fast.errors import InputError
from lswag_fast.libra.ranks import Aggregate, check_aggregate, check_weights, counting_against
from lswag_fast.study.trial import shortened, table_columns

SCORE = "score"
"""Name of the only value of a study whose scores come from a function."""
Told = SupportsFloat | Mapping[str, SupportsFloat]
"""A score, or {proxy: value}."""


@dataclass(frozen=True)
class Objective:
    """Which values of a trial count, and how they become one score, higher is better.

    Attributes:
        proxies: names of the values that a trial is told. One is the score itself, several are combined.
        combine: of several: "log_rank", "mean_rank", "rank_sum" or "product", as `lswag_fast.rank_aggregate` defines
            them, among all complete trials. A constraint (parameters, MACs, latency) is a budget, never a proxy here.
        rank_weights: how much the logarithm of each proxy's rank counts in "log_rank", below 0 where it counts against;
            None for all alike.
        lower_is_better: those of the proxies for which lower is better.

    Raises:
        InputError: no proxy, one twice, one with the name of a column of the results, or another `combine`; or weights
            that are not one number other than 0 for each.

    Example:
        >>> Objective(("lswag", "params"), lower_is_better=("params",)).vector({"lswag": 2.0, "params": 10.0})
        (2.0, -10.0)
    """

    proxies: tuple[str, ...] = (SCORE,)
    combine: Aggregate = "log_rank"
    lower_is_better: tuple[str, ...] = ()
    rank_weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be told apart or combined."""
        if not self.proxies or len(set(self.proxies)) < len(self.proxies):
            raise InputError(f"an objective needs one or more different proxies; found {list(self.proxies)}")
        taken = sorted(set(self.proxies) & set(table_columns(with_latency=True)))
        if taken and len(self.proxies) > 1:
            raise InputError(f"{taken[0]} is a column of the results; give the proxy another name")
        check_aggregate("combine", self.combine)
        check_weights(self.rank_weights, self.proxies, self.combine)

    @property
    def against(self) -> tuple[str, ...]:
        """The proxies that count against: those with a weight below 0."""
        return counting_against(self.proxies, self.rank_weights)

    @property
    def is_single(self) -> bool:
        """Whether one proxy is the score by itself."""
        return len(self.proxies) == 1

    def vector(self, values: Mapping[str, float]) -> tuple[float, ...]:
        """Return the values in the order of the proxies, turned so that higher is better."""
        return tuple(-values[name] if name in self.lower_is_better else values[name] for name in self.proxies)

    def outcome(self, score: Told | None, error: str = "") -> tuple[dict[str, float], str]:
        """Return the finite values of what a trial was told, and why they are no score; "" for a good one.

        Raises:
            InputError: there is neither a score nor an error, or both, or other values than those of the proxies.
        """
        if (score is None) == (not error):
            raise InputError(f"tell() takes a score or an error; found score={score!r}, error={error!r}")
        values = {} if score is None else self._values(score)
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        if not error and len(finite) < len(values):
            error = "; ".join(f"{name} is not finite: {value}" for name, value in values.items() if name not in finite)
        return finite, shortened(" ".join(error.split()))

    def _values(self, score: Told) -> dict[str, float]:
        if not isinstance(score, Mapping):
            score = dict.fromkeys(self.proxies[:1], score)
        if set(score) != set(self.proxies):
            wanted = ", ".join(self.proxies)
            raise InputError(f"tell() wants the values of {wanted}; found {', '.join(map(str, score)) or 'none'}")
        return {name: float(score[name]) for name in self.proxies}

    def to_dict(self) -> dict[str, Any]:
        """Return what decides the objective, as plain JSON values; `combine` is None with one proxy.

        Weights are there only where some were given, so that other studies are what they were.
        """
        weights = {} if self.rank_weights is None else {"rank_weights": list(self.rank_weights)}
        return {
            "proxies": list(self.proxies),
            "combine": None if self.is_single else self.combine,
            "lower_is_better": [name for name in self.proxies if name in self.lower_is_better],
            **weights,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Objective:
        """Return the objective that `to_dict` wrote."""
        weights = stored.get("rank_weights")
        return cls(
            tuple(stored["proxies"]),
            stored["combine"] or "log_rank",
            tuple(stored["lower_is_better"]),
            None if weights is None else tuple(weights),
        )
