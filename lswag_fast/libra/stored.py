"""Stored selections of proxies: what `Libra.save` wrote, and those that are packaged for named spaces."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, cast

from lswag_fast.errors import InputError, StorageError, reason
from lswag_fast.libra.held_out import HeldOut
from lswag_fast.libra.ranks import Aggregate, check_aggregate, check_weights
from lswag_fast.proxies import get_proxy

SCHEMA_VERSION = 2
"""Of the JSON of a selection."""

_READABLE = (1, SCHEMA_VERSION)
"""Version 1 knew no held-out figures and no weights."""


@dataclass(frozen=True)
class Selection:
    """Proxies that are scored together, and how they make one order.

    Attributes:
        proxies: names of registered proxies, the first the one that ranks best by itself; with weights the one that
            counts most.
        combine: how they are combined, see `rank_aggregate`.
        fitted_on: which target, architectures and options the choice came from, JSON values.
        held_out: what the rule's selections are worth on architectures that they were not fitted to; None where that
            was not measured.
        weights: how much the logarithm of each proxy's rank counts; None for all alike.

    Example:
        >>> Selection(("nwot", "zico"), "log_rank", {}).proxies
        ('nwot', 'zico')
    """

    proxies: tuple[str, ...]
    combine: Aggregate
    fitted_on: Mapping[str, Any]
    held_out: HeldOut | None = None
    weights: tuple[float, ...] | None = None


def read_selection(path: str | os.PathLike[str]) -> Selection:
    """Read a selection that `Libra.save` or `lswag-fast libra --out` wrote.

    Args:
        path: the JSON file.

    Raises:
        StorageError: the file cannot be read, or holds no selection of this version.
        InputError: a proxy is not registered here or has no value for a single network, or the combination is unknown.

    Example:
        >>> import tempfile
        >>> stored = {"schema_version": 1, "selection": ["nwot", "zico"], "combine": "log_rank", "fitted_on": {}}
        >>> with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        ...     json.dump(stored, file)
        ...     file.flush()
        ...     read_selection(file.name).proxies
        ('nwot', 'zico')
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"selection {path}: cannot be read ({reason(error)})") from error
    return _selection(_content(text, str(path)), str(path))


def packaged_selection(space: str) -> Selection:
    """Return the selection for a named space that comes with the package.

    Args:
        space: name of the space, e.g. "autoformer-small".

    Returns:
        The selection; its `fitted_on` says what it was fitted on.

    Raises:
        InputError: the package has none for that space; names the spaces that have one.

    Example:
        >>> packaged_selection("autoformer-small").fitted_on["target"]
        'imagenet_inherited_top1'
    """
    known = _packaged()
    if space not in known:
        raise InputError(
            f"a selection is packaged for {', '.join(sorted(known))}, not for {space}; `lswag-fast libra TABLE "
            "--target COLUMN --out FILE` fits one"
        )
    return known[space]


def _packaged() -> dict[str, Selection]:
    """By the names of the spaces that the files in the folder list."""
    found = {}
    for file in resources.files(__package__).joinpath("selections").iterdir():
        if file.name.endswith(".json"):
            content = _content(file.read_text("utf-8"), file.name)
            found.update(dict.fromkeys(content["spaces"], _selection(content, file.name)))
    return found


def _content(text: str, source: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise StorageError(f"selection {source}: is not JSON ({error})") from error
    if not isinstance(content, dict) or "selection" not in content:
        raise StorageError(f"selection {source}: holds no selection; `lswag-fast libra TABLE --out FILE` writes one")
    if content.get("schema_version") not in _READABLE:
        raise StorageError(
            f"selection {source}: has version {content.get('schema_version')!r}, this package reads "
            f"{' and '.join(map(str, _READABLE))}"
        )
    return content


def _selection(content: Mapping[str, Any], source: str) -> Selection:
    names, combine, fitted_on = (content.get(key) for key in ("selection", "combine", "fitted_on"))
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise StorageError(f"selection {source}: 'selection' is {names!r}, expected names of proxies")
    if not isinstance(fitted_on, dict):
        raise StorageError(f"selection {source}: 'fitted_on' is {fitted_on!r}, expected what it was fitted on")
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise InputError(f"selection {source}: {repeated[0]!r} is selected twice")
    check_aggregate(f"selection {source}: combine", combine)
    proxies = tuple(_usable(name, source) for name in names)
    weights = _weights(content.get("weights"), proxies, cast(Aggregate, combine), source)
    return Selection(proxies, cast(Aggregate, combine), fitted_on, _held_out(content.get("held_out"), source), weights)


def _weights(stored: Any, proxies: tuple[str, ...], combine: Aggregate, source: str) -> tuple[float, ...] | None:
    if stored is None:
        return None
    if not isinstance(stored, list) or not all(type(weight) in (int, float) for weight in stored):
        raise StorageError(f"selection {source}: 'weights' is {stored!r}, expected a number for each proxy")
    try:
        check_weights(stored, proxies, combine)
    except InputError as error:
        raise InputError(f"selection {source}: {error}") from error
    return tuple(map(float, stored))


def _held_out(stored: Any, source: str) -> HeldOut | None:
    if stored is None:
        return None
    try:
        return HeldOut.from_dict(stored)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StorageError(f"selection {source}: its held-out figures cannot be read ({reason(error)})") from error


def _usable(name: str, source: str) -> str:
    """The name of a proxy that scores one network."""
    try:
        info = get_proxy(name)
    except InputError as error:
        raise InputError(f"selection {source}: {error}") from error
    if info.parts:
        raise InputError(
            f"selection {source}: {name} is made of ranks among networks; select among its parts, "
            f"{', '.join(info.parts)}"
        )
    return info.name
