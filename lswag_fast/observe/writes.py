"""Which tensors a call of the torch API writes into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from lswag_fast.observe.weights import tensors_in


def written_tensors(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """The tensors that this call writes into: `out=`, the first argument of `name_`, `__iadd__`, `__setitem__`.

    The functions of `nn.init` arrive with keywords only; all of them count then.
    """
    name = func.__name__
    in_place = name.endswith("_") and not name.endswith("__")
    augmented = name == "__setitem__" or (name.startswith("__i") and name.endswith("__"))
    targets = (args[:1] or tuple(kwargs.values())) if in_place or augmented else ()
    return tensors_in(targets, kwargs.get("out"))
