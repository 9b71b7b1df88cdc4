"""The layer intervals of the named spaces, as `lswag-fast layers` found them; packaged with their provenance."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from lswag_fast.errors import InputError
from lswag_fast.evaluation.layer_study import Interval

_FILE = "intervals.json"


@cache
def known_intervals() -> dict[str, dict[str, Any]]:
    """What is packaged, by the name of the space: its interval (a list or None) and how it was found."""
    content: dict[str, dict[str, Any]] = json.loads(resources.files(__package__).joinpath(_FILE).read_text("utf-8"))
    return content


def interval_of(space: str) -> Interval | None:
    """The interval of a named space, None where its study found no spike: all layers then count.

    Raises InputError for a space without one.
    """
    known = known_intervals()
    if space not in known:
        raise InputError(
            f"layers='auto' is known for {', '.join(sorted(known))}, not for {space}; `lswag-fast layers {space}` "
            "finds the interval"
        )
    interval = known[space]["interval"]
    return None if interval is None else (interval[0], interval[1])
