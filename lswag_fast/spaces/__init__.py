"""Search spaces: `AutoFormer`, the protocol for a space of your own, and the named spaces of the command line."""

from __future__ import annotations

from functools import partial

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.autoformer import AutoFormer
from lswag_fast.spaces.autoformer_choices import PUBLISHED
from lswag_fast.spaces.protocol import Arch, CountsParams, SearchSpace, SharesWeights

__all__ = ["Arch", "AutoFormer", "CountsParams", "SearchSpace", "SharesWeights", "get", "names"]

_NAMED = {f"autoformer-{name}": partial(AutoFormer, name) for name in PUBLISHED}


def names() -> tuple[str, ...]:
    """Return the names that `get` knows."""
    return tuple(_NAMED)


def get(name: str, **overrides: int) -> AutoFormer:
    """Return the space called `name`, e.g. `get("autoformer-small", image_size=32, patch_size=4, num_classes=10)`.

    Raises SpaceError if there is no such space or an override is not one of image_size, patch_size, num_classes.
    """
    if name not in _NAMED:
        raise SpaceError(f"space: found {name!r}, known are {', '.join(_NAMED)}")
    allowed = ("image_size", "patch_size", "num_classes")
    unknown = [key for key in overrides if key not in allowed]
    if unknown:
        raise SpaceError(f"{unknown[0]}: cannot be set for {name}; allowed are {', '.join(allowed)}")
    return _NAMED[name](**overrides)
