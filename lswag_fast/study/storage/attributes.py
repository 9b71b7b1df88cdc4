"""What the attributes of a stored study may be: whoever shows a study relies on their types."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

# Of the layers of the best network, those that figures and pages read.
_LAYER: dict[str, Callable[[Any], bool]] = {
    "name": lambda value: type(value) is str,
    "kind": lambda value: type(value) is str,
    "depth": lambda value: _is_number(value),
    "n_weights": lambda value: _is_count(value),
    "trainability": lambda value: value is None or _is_number(value),
    "cardinality": lambda value: value is None or _is_count(value),
}
_COUNTS = ("n_trials", "n_written")
LARGEST_COUNT = 2**63
"""Of anything that a study counts; beyond it lies what no table takes."""


def check_attributes(attrs: Mapping[str, Any]) -> None:
    """Refuse attributes that no study has.

    Args:
        attrs: by name, as they were read.

    Raises:
        ValueError: one of them is damaged; names it.
        KeyError: one is missing.
    """
    _check_numbers(attrs)
    versions = attrs["versions"]
    if type(versions) is not dict or {type(version) for version in versions.values()} - {str}:
        raise ValueError("its versions are none")
    if type(attrs["metadata"]) is not dict:
        raise ValueError("its metadata are none")
    if type(attrs["status"]) is not str:
        raise ValueError("its status is none")
    for name in _COUNTS:
        if not _is_count(attrs.get(name, 0)):
            raise ValueError(f"its attribute {name} is no number of trials")
    if attrs.get("profile") is not None:
        _check_profile(attrs["profile"])
    if attrs.get("repeats") is not None:
        _check_repeats(attrs["repeats"])


def _check_repeats(repeats: Any) -> None:
    """Of the best trials, by number, the values of each proxy in each repeat."""
    if type(repeats) is not dict or not all(number.isdecimal() for number in repeats):
        raise ValueError("the repeated scores are none")
    lengths = set()
    for values in repeats.values():
        if type(values) is not dict or not all(type(row) is list for row in values.values()):
            raise ValueError("the repeated scores of a trial are none")
        lengths |= {len(row) for row in values.values()}
        if not all(_is_number(value) for row in values.values() for value in row):
            raise ValueError("a repeated score is no number")
    if repeats and (len(lengths) != 1 or min(lengths) < 2):
        raise ValueError("the repeated scores have different lengths")


def _check_profile(profile: Any) -> None:
    if type(profile) is not dict or not _is_count(profile.get("trial")) or type(profile.get("layers")) is not list:
        raise ValueError("the profile of its best network is none")
    seconds = profile.get("seconds", {})  # of a study of before there is none
    if type(seconds) is not dict or not all(_is_number(value) for value in seconds.values()):
        raise ValueError("the seconds of its best network are none")
    for layer in profile["layers"]:
        if type(layer) is not dict or not all(is_right(layer.get(name, ...)) for name, is_right in _LAYER.items()):
            raise ValueError(f"a layer of its best network is described by {str(layer)[:100]}")


def _check_numbers(value: Any) -> None:
    """Refuse infinities and numbers beyond float, which JSON can write and few can read."""
    if isinstance(value, dict):
        for item in value.values():
            _check_numbers(item)
    elif isinstance(value, list):
        for item in value:
            _check_numbers(item)
    elif type(value) in (int, float) and not _is_number(value):
        raise ValueError(f"an attribute holds the number {str(value)[:30]}")


def _is_number(value: Any) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:  # an integer beyond float
        return False


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < LARGEST_COUNT
