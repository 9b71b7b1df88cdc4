"""Budgets: windows on the cost of an architecture, read from text such as `5M..7M`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from typing import Any, Protocol

from lswag_fast.errors import BudgetError

UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}
_NUMBER = re.compile(r"(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)\s*([KMGkmg]?)")


class CostModel(Protocol):
    """The part of a search space that a budget needs."""

    def n_params(self, arch: Any) -> int:
        """Return the number of parameters of `arch`."""

    def macs(self, arch: Any) -> int:
        """Return the multiply-accumulate operations of one forward pass of one sample."""


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

    Raises:
        BudgetError: a window cannot be read or is empty.
    """

    params: Window | None
    macs: Window | None

    def __init__(self, params: WindowLike = None, macs: WindowLike = None) -> None:
        object.__setattr__(self, "params", _window(params, "params"))
        object.__setattr__(self, "macs", _window(macs, "macs"))

    def costs(self, space: CostModel, arch: Any) -> dict[str, float]:
        """Return what `arch` costs in each quantity that is limited (only those are computed)."""
        measures = {"params": space.n_params, "macs": space.macs}
        return {name: measures[name](arch) for name in self.windows()}

    def gap(self, space: CostModel, arch: Any) -> float:
        """Return the sum over the quantities of how far `arch` lies outside its window; 0 inside all of them."""
        windows = self.windows()
        return sum(windows[name].gap(cost) for name, cost in self.costs(space, arch).items())

    def windows(self) -> dict[str, Window]:
        """Return the limited quantities and their windows."""
        return {f.name: window for f in fields(self) if (window := getattr(self, f.name)) is not None}

    def to_dict(self) -> dict[str, list[float | None]]:
        """Return `{quantity: [lo, hi]}`, None for an open upper end."""
        return {name: [w.lo, None if math.isinf(w.hi) else w.hi] for name, w in self.windows().items()}

    def __str__(self) -> str:
        """Write the budget as the command line takes it: `params 5M..7M, macs ..2G`."""
        return ", ".join(f"{name} {window}" for name, window in self.windows().items())
