"""Which tensors a call of the torch API writes into, and a mode that tells before it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lswag_fast.observe.weights import tensors_in

_LOOK_UPS = frozenset((F.embedding, F.embedding_bag))
_TABLE, _MAX_NORM = 1, 3  # their arguments: the weight, and the largest norm that a row of it may keep
_FLAGS = frozenset(("requires_grad_",))  # named like a write, they leave the values alone


def written_tensors(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """The tensors that this call writes into: `out=`, the first argument of `name_`, `__iadd__`, `__setitem__`.

    The functions of `nn.init` arrive with keywords only; all of them count then. A look-up with a largest norm scales
    the rows of its table.
    """
    if func in _LOOK_UPS:
        max_norm = args[_MAX_NORM] if len(args) > _MAX_NORM else kwargs.get("max_norm")
        return [] if max_norm is None else tensors_in(args[_TABLE] if len(args) > _TABLE else kwargs["weight"])
    if _writes_first(func):
        return tensors_in(args[:1] or tuple(kwargs.values()), kwargs.get("out"))
    return tensors_in(kwargs["out"]) if "out" in kwargs else []


@lru_cache(maxsize=1024)
def _writes_first(func: Callable[..., Any]) -> bool:
    """Whether a call of this function writes into its first argument."""
    name = func.__name__
    in_place = name.endswith("_") and not name.endswith("__") and name not in _FLAGS
    return in_place or name == "__setitem__" or (name.startswith("__i") and name.endswith("__"))


class WriteGuard(TorchFunctionMode):
    """Runs every call as it is, after it said which tensors the call writes into.

    Example:
        >>> import torch
        >>> kept = []
        >>> x = torch.zeros(2)
        >>> with WriteGuard(lambda tensor: kept.append(tensor.tolist())):
        ...     y = (x + 1).relu()
        ...     x.add_(y)
        tensor([1., 1.])
        >>> kept
        [[0.0, 0.0]]
    """

    def __init__(self, before_write: Callable[[Tensor], None]) -> None:
        """`before_write` is called with each tensor that is about to be written."""
        super().__init__()
        self._before_write = before_write

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Look at one call, and run it."""
        kwargs = kwargs or {}
        for tensor in written_tensors(func, args, kwargs):
            self._before_write(tensor)
        return func(*args, **kwargs)
