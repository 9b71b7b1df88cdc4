"""What decides the outcome of a study: stored with it, and compared when it is continued."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

import torch

from lswag_fast.errors import StorageError
from lswag_fast.spaces import SearchSpace
from lswag_fast.study.budget import Budget
from lswag_fast.study.objective import Objective
from lswag_fast.study.samplers import Sampler

_ABSENT = "nothing"
_PACKAGES = ("lswag-fast", "torch", "numpy")


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


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a score; `unknown` where none is installed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "unknown"
    return found


def fingerprint(data: Any) -> str:
    """Return 16 hexadecimal digits that depend on every bit of the tensors in nested tuples, lists and dictionaries.

    What is neither counts by its text.
    """
    digest = hashlib.sha256()
    _update(digest, data)
    return digest.hexdigest()[:16]


def _update(digest: Any, data: Any) -> None:
    if isinstance(data, torch.Tensor):
        digest.update(f"{data.dtype}{tuple(data.shape)}".encode())
        digest.update(data.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    elif isinstance(data, Mapping):
        for key in data:
            digest.update(f"{key}:".encode())
            _update(digest, data[key])
    elif isinstance(data, (tuple, list)):
        digest.update(f"[{len(data)}]".encode())
        for item in data:
            _update(digest, item)
    else:
        digest.update(repr(data).encode())
