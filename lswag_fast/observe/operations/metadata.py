"""Calls that take a tensor for its dtype, device or shape alone, not for its values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_LIKE = ("zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like", "randint_like")
_NEW = ("new_zeros", "new_ones", "new_empty", "new_full", "new_tensor", "new_empty_strided")
_PATTERN_ONLY = frozenset([*(getattr(torch, name) for name in _LIKE), *(getattr(Tensor, name) for name in _NEW)])
"""None of their tensors' values are read, that of `full_like(x, value)` excepted, which is a number."""

_FIRST_ONLY = frozenset(
    getattr(Tensor, name) for name in ("type_as", "to", "view_as", "reshape_as", "expand_as", "resize_as_")
)
"""Further tensors only show how the first one shall be."""


QUESTIONS = frozenset(
    (Tensor.dim, Tensor.size, Tensor.numel, Tensor.stride, Tensor.__len__, Tensor.is_floating_point,
     Tensor.is_complex, Tensor.is_contiguous, Tensor.get_device, torch.numel, torch.is_floating_point, torch.is_complex,
     *(getattr(Tensor, name).__get__ for name in ("shape", "ndim", "dtype", "device", "layout", "is_cuda", "is_mps",
                                                  "is_sparse", "is_quantized", "requires_grad")))
)  # fmt: skip
"""Calls that answer with something else than tensors, from no tensor's values: a model makes many of them."""


def reads_values(function: Callable[..., Any], args: tuple[Any, ...], tensor: Tensor) -> bool:
    """Whether a call uses the values of a tensor that is among its arguments.

    Example:
        >>> x, w = torch.ones(2), torch.ones(2, dtype=torch.float64)
        >>> reads_values(Tensor.type_as, (x, w), x), reads_values(Tensor.type_as, (x, w), w)
        (True, False)
    """
    if function in _PATTERN_ONLY:
        return False
    return function not in _FIRST_ONLY or (bool(args) and tensor is args[0])
