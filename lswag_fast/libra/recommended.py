"""What to search by where there is no table of accuracies to choose on: one recommendation for each kind of space."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

from lswag_fast.errors import InputError
from lswag_fast.libra.ranks import Aggregate

_FILE = "recommendations.json"


@dataclass(frozen=True)
class Recommendation:
    """Proxies that rank the networks of a kind of space well together, without a label.

    Attributes:
        kind: name of the kind, "cnn" or "vit".
        networks: the kind in words.
        spaces: the named spaces of that kind.
        proxies: names of registered proxies.
        combine: how they are combined, see `rank_aggregate`.
        why: what they were worth where it was measured.
        evidence: the file of the repository with the measured numbers.
    """

    kind: str
    networks: str
    spaces: tuple[str, ...]
    proxies: tuple[str, ...]
    combine: Aggregate
    why: str
    evidence: str


@cache
def recommendations() -> tuple[Recommendation, ...]:
    """Return every recommendation.

    Example:
        >>> [found.kind for found in recommendations()]
        ['cnn', 'vit']
    """
    content = json.loads(resources.files(__package__).joinpath(_FILE).read_text("utf-8"))
    return tuple(
        Recommendation(**{**entry, "spaces": tuple(entry["spaces"]), "proxies": tuple(entry["proxies"])})
        for entry in content
    )


def recommended(name: str) -> Recommendation:
    """Return what is recommended for a named space, or for a kind of spaces.

    Args:
        name: "autoformer-small", say, or "vit".

    Raises:
        InputError: there is none for it; says how to name the kind.

    Example:
        >>> recommended("nasbench201").kind, recommended("vit").spaces[0]
        ('cnn', 'autoformer-tiny')
    """
    for found in recommendations():
        if name == found.kind or name in found.spaces:
            return found
    kinds = " or ".join(f"recommended:{found.kind} for {found.networks}" for found in recommendations())
    raise InputError(f"nothing is recommended for {name}; say of which kind its networks are: {kinds}")
