"""What decides the outcome of a study: stored with it, and compared when it is continued."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from lswag_fast.errors import StorageError
from lswag_fast.spaces import SearchSpace
from lswag_fast.study.budget import Budget
from lswag_fast.study.objective import Objective
from lswag_fast.study.samplers import Sampler

_ABSENT = "nothing"


def study_settings(
    space: SearchSpace, sampler: Sampler, budget: Budget, seed: int, objective: Objective, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all that decides a study as plain JSON values, `extra` (what decides the scores) with it."""
    settings = {
        "space": space.name,
        # Two spaces of one name may differ in their choices. The address of an object says nothing.
        "space_choices": None if " at 0x" in repr(space) else repr(space),
        "space_size": space.size,
        "input_shape": space.input_shape,
        "num_classes": space.num_classes,
        "budget": budget.to_dict(),
        "sampler": {"name": sampler.name, **(asdict(sampler) if is_dataclass(sampler) else {})},
        "seed": seed,
        **objective.to_dict(),
        **extra,
    }
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    return plain


def refuse_difference(path: Any, stored: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse to continue a study with other settings.

    Raises:
        StorageError: shows each setting that differs, stored and given.
    """
    differences = list(_differences("", stored, given))
    if differences:
        raise StorageError(
            f"{path} holds a study with other settings: {'; '.join(differences)}. "
            "Repeat the stored ones to continue it, or name a new folder"
        )


def _differences(prefix: str, stored: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
    for key in dict.fromkeys([*stored, *given]):
        old, new = stored.get(key), given.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(f"{prefix}{key}.", old, new)
        elif old != new:
            yield f"{prefix}{key} was {_shown(old)}, now {_shown(new)}"


def _shown(value: Any) -> str:
    return _ABSENT if value is None else json.dumps(value)
