"""Budgets: windows on the cost of an architecture, read from text such as `5M..7M`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

from lswag_fast.errors import BudgetError
from lswag_fast.study.costs import COSTS

UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}
_NUMBER = re.compile(r"(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)\s*([KMGkmg]?)")


Distance = tuple[float, float]
"""How far an architecture lies outside a budget: by what is counted, then by what is measured; ordered like that."""

INSIDE: Distance = (0.0, 0.0)


class Costs(Protocol):
    """What one architecture costs; each quantity is only asked for where the budget limits it."""

    @property
    def n_params(self) -> int:
        """Number of parameters."""

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of one forward pass of one sample."""

    @property
    def latency_ms(self) -> float:
        """Time of one forward pass of one sample, in milliseconds."""


def format_count(value: float) -> str:
    """Write a count with a unit and no digit lost: 5712000 -> `5.712M`."""
    for unit in ("G", "M", "K"):
        if abs(value) >= UNITS[unit]:
            return f"{value / UNITS[unit]:.15g}{unit}"
    return f"{value:.15g}"


@dataclass(frozen=True)
class Window:
    """A closed interval of counts, `lo <= count <= hi`; an open end is 0 or infinity."""

    lo: float = 0.0
    hi: float = math.inf

    def __post_init__(self) -> None:
        """Refuse a window that no count can meet (BudgetError)."""
        if math.isnan(self.lo) or math.isnan(self.hi):
            raise BudgetError("a budget's ends must be numbers; found NaN")
        if self.lo < 0 or self.hi <= 0 or math.isinf(self.lo):
            raise BudgetError(f"a budget's ends must be positive; found {self}")
        if self.lo > self.hi:
            raise BudgetError(f"the budget {self} is empty: its lower end is above its upper end")

    @classmethod
    def parse(cls, text: str) -> Window:
        """Read `LO..HI`, `LO..` or `..HI`; a number may end in K, M or G (10^3, 10^6, 10^9).

        Raises:
            BudgetError: the text is not of this form, or the window is empty.
        """
        lo, dots, hi = (part.strip() for part in text.partition(".."))
        if not dots or not (lo or hi):
            raise BudgetError(f"cannot read the budget {text!r}; write LO..HI, LO.. or ..HI, for example 5M..7M")
        return cls(_parse_count(lo, text) if lo else 0.0, _parse_count(hi, text) if hi else math.inf)

    def gap(self, count: float) -> float:
        """Return how far `count` lies outside, relative to the end that it misses; 0 inside."""
        if count < self.lo:
            return (self.lo - count) / self.lo
        return (count - self.hi) / self.hi if count > self.hi else 0.0

    def __str__(self) -> str:
        """Write the window as `parse` reads it."""
        lo = format_count(self.lo) if self.lo else ""
        return f"{lo}..{'' if math.isinf(self.hi) else format_count(self.hi)}"


def _parse_count(text: str, whole: str) -> float:
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise BudgetError(f"cannot read {text!r} in the budget {whole!r}; write a number with K, M or G, such as 5.5M")
    return float(match[1]) * UNITS[match[2].upper()]


WindowLike = Window | str | tuple[float | None, float | None] | None


def _window(given: WindowLike, name: str) -> Window | None:
    if given is None or isinstance(given, Window):
        return given
    if isinstance(given, str):
        return Window.parse(given)
    try:
        lo, hi = given
        return Window(0.0 if lo is None else float(lo), math.inf if hi is None else float(hi))
    except BudgetError:
        raise
    except (TypeError, ValueError) as error:
        raise BudgetError(f"{name} must be (lo, hi) or text such as '5M..7M'; found {given!r}") from error


@dataclass(frozen=True, init=False)
class Budget:
    """What an architecture may cost; a quantity left at None is free.

    Each quantity is `(lo, hi)` with None for an open end, or text such as `"5M..7M"`; both ends belong to the window.

    Attributes:
        params: number of parameters.
        macs: multiply-accumulate operations of one sample.
        latency_ms: time of one forward pass of one sample on this machine, in milliseconds. It is measured, and only
            for architectures that the other windows let through.

    Raises:
        BudgetError: a window cannot be read or is empty.

    Example:
        >>> budget = Budget(params="5M..7M", macs=(None, 2_000_000_000))
        >>> budget.params.lo, budget.macs.hi
        (5000000.0, 2000000000.0)
    """

    params: Window | None
    macs: Window | None
    latency_ms: Window | None

    def __init__(self, params: WindowLike = None, macs: WindowLike = None, latency_ms: WindowLike = None) -> None:
        object.__setattr__(self, "params", _window(params, "params"))
        object.__setattr__(self, "macs", _window(macs, "macs"))
        object.__setattr__(self, "latency_ms", _window(latency_ms, "latency_ms"))

    def costs(self, of: Costs) -> dict[str, float]:
        """Return what an architecture costs in each quantity that is limited (only those are asked for)."""
        return {name: getattr(of, _FIELDS[name]) for name in self.windows()}

    def distance(self, of: Costs) -> Distance:
        """Return how far an architecture lies outside, `INSIDE` in all windows.

        First the sum of the gaps in parameters and MACs, then the gap in latency; that is not asked for, and infinite,
        where the first is not 0.
        """
        counted = self.params.gap(of.n_params) if self.params else 0.0
        counted += self.macs.gap(of.macs) if self.macs else 0.0
        if self.latency_ms is None:
            return counted, 0.0
        return counted, math.inf if counted else self.latency_ms.gap(of.latency_ms)

    def windows(self) -> dict[str, Window]:
        """Return the limited quantities and their windows."""
        return {f.name: window for f in fields(self) if (window := getattr(self, f.name)) is not None}

    def to_dict(self) -> dict[str, list[float | None]]:
        """Return `{quantity: [lo, hi]}`, None for an open upper end."""
        return {name: [w.lo, None if math.isinf(w.hi) else w.hi] for name, w in self.windows().items()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Budget:
        """Return the budget that `to_dict` wrote."""
        return cls(**{name: (lo, hi) for name, (lo, hi) in stored.items()})

    def __str__(self) -> str:
        """Write the budget as the command line takes it: `params 5M..7M, macs ..2G`."""
        return ", ".join(f"{name} {window}" for name, window in self.windows().items())


_FIELDS = {cost.budget: cost.field for cost in COSTS.values()}
