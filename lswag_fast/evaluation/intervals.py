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
    """Return what is packaged, by the name of the space: its interval (a list or None) and how it was found.

    Example:
        >>> sorted(known_intervals()["nasbench201"])
        ['bins', 'data', 'interval', 'n_networks']
    """
    content: dict[str, dict[str, Any]] = json.loads(resources.files(__package__).joinpath(_FILE).read_text("utf-8"))
    return content


def interval_of(space: str) -> Interval | None:
    """Return the interval of a named space; None where its study found no spike, so that all layers count.

    Raises:
        InputError: the space has not been studied.

    Example:
        >>> interval_of("nasbench201")
        (0, 1)
    """
    known = known_intervals()
    if space not in known:
        raise InputError(
            f"layers='auto' is known for {', '.join(sorted(known))}, not for {space}; `lswag-fast layers {space}` "
            "finds the interval"
        )
    interval = known[space]["interval"]
    return None if interval is None else (interval[0], interval[1])
