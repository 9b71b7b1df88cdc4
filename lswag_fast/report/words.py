"""Numbers as a person reads them: a few digits, a unit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lswag_fast.study.budget import Window

COST_NAMES = {"n_params": "parameters", "macs": "MACs", "latency_ms": "latency"}
"""The costs of an architecture by their fields of a trial."""

_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K"))


def count(value: float) -> str:
    """Four digits and a unit: 5712345 -> `5.712 M`; small whole numbers as they are."""
    for unit, letter in _UNITS:
        if abs(value) >= unit:
            return f"{value / unit:.4g} {letter}"
    return f"{value:.4g}"


def cost(value: float | None, name: str) -> str:
    """A cost with its unit; `-` where it was not measured."""
    if value is None:
        return "-"
    return f"{value:.4g} ms" if name == "latency_ms" else count(value)


def duration(milliseconds: float) -> str:
    """The two largest units that say how long something took: `0.8 s`, `3 min 12 s`, `14 h 05 min`."""
    seconds = milliseconds / 1e3
    if seconds < 10:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def rate(n_trials: int, milliseconds: float) -> str:
    """How fast candidates were scored, each second or, where that is less than one, each minute."""
    if n_trials == 0 or milliseconds <= 0:
        return "-"
    each_second = n_trials * 1e3 / milliseconds
    return f"{each_second:.1f} trials a second" if each_second >= 1 else f"{60 * each_second:.1f} trials a minute"


def plural(number: int, word: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def budget(windows: Mapping[str, Sequence[float | None]]) -> str:
    """A stored budget as the command line takes it: `params 5M..7M, macs ..2G`."""
    return ", ".join(
        f"{name} {Window(low or 0.0, math.inf if high is None else high)}" for name, (low, high) in windows.items()
    )


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as one level of text: `{"sampler": {"name": "random"}}` -> `{"sampler.name": "random"}`."""
    found: dict[str, str] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{name}.")
        else:
            found[name] = _text(value)
    return found


def _text(value: Any) -> str:
    if value is None or value in ({}, [], ()):
        return "none"
    if isinstance(value, (list, tuple)):
        return ", ".join("open" if item is None else _text(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
