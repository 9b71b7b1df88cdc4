"""How much of a network an observed pass saw."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lswag_fast.errors import LowCoverageError, warn

WARN_BELOW = 0.9
"""The share of the elements below which a score says that it does not see the network."""

_MOST_NAMED = 3


@dataclass(frozen=True)
class Coverage:
    """The share of the elements of a network's weight matrices that have a statistic.

    Attributes:
        n_elements: {name: elements} of each weight matrix, see `Observation.n_elements`.
        missing: {name: reason} of those without a statistic.

    Example:
        >>> coverage = Coverage({"a": 90, "b": 10}, {"b": "frozen"})
        >>> coverage.share, coverage.describe()
        (0.9, '90 % of the elements of the weight matrices were observed; the largest missing: b (10 %, frozen)')
    """

    n_elements: Mapping[str, int]
    missing: Mapping[str, str]

    @property
    def share(self) -> float:
        """From 0 to 1; 1 where there is no weight matrix."""
        total = sum(self.n_elements.values())
        return 1 - sum(self.n_elements[name] for name in self.missing) / total if total else 1.0

    def describe(self) -> str:
        """Say the share and the largest missing weights."""
        text = f"{_percent(self.share)} of the elements of the weight matrices were observed"
        if not self.missing:
            return text
        total = sum(self.n_elements.values())
        largest = sorted(self.missing, key=lambda name: -self.n_elements[name])[:_MOST_NAMED]
        named = [f"{name} ({_percent(self.n_elements[name] / total)}, {self.missing[name]})" for name in largest]
        more = len(self.missing) - len(largest)
        return f"{text}; the largest missing: {', '.join(named)}{f' and {more} more' if more else ''}"

    def warn(self) -> None:
        """Say it in a warning where it is less than `WARN_BELOW`."""
        if self.share < WARN_BELOW:
            warn(f"only {self.describe()}; Score.skipped has all of them")

    def check(self, least: float | None) -> None:
        """Raise LowCoverageError where the share is less than wanted."""
        if least is not None and self.share < least:
            raise LowCoverageError(f"min_coverage is {least:g}, but {self.describe()}")


def _percent(share: float) -> str:
    """Rounded down, so that what is not whole does not look so."""
    return f"{math.floor(share * 1000) / 10:.3g} %"
