"""Durations, rates and settings as a person reads them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lswag_fast.options import FAST_GRADIENT_SAMPLES
from lswag_fast.study.budget import Window

if TYPE_CHECKING:
    from lswag_fast.study.stored import StoredStudy


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
    """How fast candidates were scored, per second or, where that is less than one, per minute."""
    if n_trials == 0 or milliseconds <= 0:
        return "-"
    per_second = n_trials * 1e3 / milliseconds
    return f"{per_second:.1f} trials per second" if per_second >= 1 else f"{60 * per_second:.1f} trials per minute"


def fidelity(study: StoredStudy) -> str:
    """At which fidelity a study was scored, and what became of its finalists; "" where all scores are exact."""
    count = study.settings.n_finalists
    if not count:
        return ""
    samples = study.settings.scoring.options.get("gradient_samples", FAST_GRADIENT_SAMPLES)
    how = f"fast (gradients of {samples} samples)"
    failed = sum(bool(trial.exact_error) for trial in study.finalists)
    if any(trial.exact_score is not None for trial in study.finalists):
        lost = f", {failed} of them without success" if failed else ""
        return f"{how}; the {len(study.finalists)} best were scored exactly{lost}"
    return f"{how}; the {count} best are scored exactly at the end"


def seconds(study: StoredStudy) -> str:
    """Where a second of scoring the best network went, the longest part first; "" where that was not measured."""
    found = study.profile_seconds
    if not found or sum(found.values()) <= 0:
        return ""
    total = sum(found.values())
    parts = sorted(found.items(), key=lambda item: -item[1])
    return ", ".join(f"{part} {seconds / total:.0%}" for part, seconds in parts)


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
