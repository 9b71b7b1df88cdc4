"""Which calls of the torch API are activation functions in the sense of the pattern cardinality.

Gates (sigmoid, softmax) are not counted: their outputs never change sign.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_ALWAYS = frozenset(
    (
        torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, F.relu, F.relu_,
        F.relu6, F.leaky_relu, F.leaky_relu_, F.elu, F.elu_, F.selu, F.selu_, torch.selu, torch.selu_,
        F.celu, F.celu_, torch.celu, torch.celu_, torch.prelu, F.prelu, Tensor.prelu,
        F.gelu, F.silu, F.mish, F.hardswish,
        torch.tanh, torch.tanh_, Tensor.tanh, Tensor.tanh_, F.tanh,
    )
)  # fmt: skip

_CLAMPS = frozenset(
    (torch.clamp, torch.clamp_, Tensor.clamp, Tensor.clamp_, torch.clip, torch.clip_, Tensor.clip, Tensor.clip_)
)
_CLAMP_MINS = frozenset((torch.clamp_min, torch.clamp_min_, Tensor.clamp_min, Tensor.clamp_min_))
_HARDTANHS = frozenset((F.hardtanh, F.hardtanh_))


def _argument(args: tuple[Any, ...], kwargs: Mapping[str, Any], position: int, name: str, default: Any) -> Any:
    return args[position] if len(args) > position else kwargs.get(name, default)


def is_activation(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether this call is a rectifier-like activation: a known function, or a clamp whose lower bound is 0."""
    if func in _ALWAYS:
        return True
    if func in _CLAMPS or func in _CLAMP_MINS:
        lower = _argument(args, kwargs, 1, "min", None)
    elif func in _HARDTANHS:
        lower = _argument(args, kwargs, 1, "min_val", -1.0)
    else:
        return False
    return isinstance(lower, (int, float)) and lower == 0
