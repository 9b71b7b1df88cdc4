"""What differs between the settings that a file was made with and those of today."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_ABSENT = "nothing"
# A fingerprint tells nobody what to do; what it is taken of, and what decides that, does.
_IN_WORDS = {
    "batch_fingerprint": "the batch is another (--data, --split, --batch-size, --image-size and --seed decide it)",
    "rank_weights": "the ranks' weights are others (rank_weights, or the selection that --proxies names, decides them)",
    "weights_fingerprint": "the weights that the networks are cut out of are others (--checkpoint decides them)",
}
# What is typed for a setting.
_TYPED = {"objective.proxies": "--proxies", "proxies": "--proxies", "objective.combine": "--combine"}

# Where something lies is no difference if what lies there is the same, as its own fingerprint says.
_PLACES = {"source": "checksum", "init": "initial_weights"}


def differences(stored: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
    """Yield each setting that differs, those in nested dictionaries with a dot in their name.

    Args:
        stored: JSON values by name.
        given: the same, now. A name that is missing is as good as None. Images, and initial weights, that lie elsewhere
            now are no difference.

    Example:
        >>> list(differences({"seed": 4, "budget": {"params": 5}}, {"seed": 4, "budget": {"params": 6}}))
        ['budget.params was 5, now 6']
        >>> list(differences({"objective": {"proxies": ["lswag"]}}, {"objective": {"proxies": ["lswag", "nwot"]}}))
        ['--proxies was lswag, now lswag,nwot']
        >>> list(differences({"source": "a", "checksum": "25c4"}, {"source": "b", "checksum": "25c4"}))
        []
    """
    yield from _differences("", stored, given)


def _differences(prefix: str, stored: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
    for key in dict.fromkeys([*stored, *given]):
        old, new = stored.get(key), given.get(key)
        if key in _PLACES and _is_same(_PLACES[key], stored, given):
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(f"{prefix}{key}.", old, new)
        elif old != new and key in _IN_WORDS:
            yield _IN_WORDS[key]
        elif old != new and prefix + key in _TYPED:
            yield f"{_TYPED[prefix + key]} was {_typed(old)}, now {_typed(new)}"
        elif old != new:
            yield f"{prefix}{key} was {_shown(old)}, now {_shown(new)}"


def _is_same(key: str, stored: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    return stored.get(key) is not None and stored.get(key) == given.get(key)


def _shown(value: Any) -> str:
    return _ABSENT if value is None else json.dumps(value)


def _typed(value: Any) -> str:
    """A setting as it is written on the command line."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value or _ABSENT)
