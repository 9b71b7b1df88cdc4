"""Which calls of the torch API are activation functions in the sense of the pattern cardinality.

Gates (sigmoid, softmax) are not counted: their outputs never change sign.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Condition = Callable[[tuple[Any, ...], Mapping[str, Any]], bool]
"""Tells from the arguments and keywords of a call whether it is an activation."""


def _always(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    return True


def _from_zero(name: str, default: float | None) -> Condition:
    """Whether the lower bound, the second argument, called `name`, is 0."""

    def condition(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        lower = args[1] if len(args) > 1 else kwargs.get(name, default)
        return isinstance(lower, (int, float)) and lower == 0

    return condition


ACTIVATIONS: dict[Callable[..., Any], Condition] = {
    **dict.fromkeys(
        (
            torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, F.relu, F.relu_,
            F.relu6, F.leaky_relu, F.leaky_relu_, F.elu, F.elu_, F.selu, F.selu_, torch.selu, torch.selu_,
            F.celu, F.celu_, torch.celu, torch.celu_, torch.prelu, F.prelu, Tensor.prelu,
            F.gelu, F.silu, F.mish, F.hardswish, F.glu,
            torch.tanh, torch.tanh_, Tensor.tanh, Tensor.tanh_, F.tanh,
        ),
        _always,
    ),
    **dict.fromkeys(
        (
            torch.clamp, torch.clamp_, Tensor.clamp, Tensor.clamp_,
            torch.clip, torch.clip_, Tensor.clip, Tensor.clip_,
            torch.clamp_min, torch.clamp_min_, Tensor.clamp_min, Tensor.clamp_min_,
        ),
        _from_zero("min", None),
    ),
    **dict.fromkeys((F.hardtanh, F.hardtanh_), _from_zero("min_val", -1.0)),
}  # fmt: skip
"""The functions that may be activations, each with the condition under which a call is one."""


def add_activation(func: Callable[..., Any]) -> None:
    """Make a function that function modes see an activation, under every condition."""
    ACTIVATIONS.setdefault(func, _always)


def is_activation(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether this call is a rectifier-like activation: a known function, or a clamp whose lower bound is 0."""
    return func in ACTIVATIONS and ACTIVATIONS[func](args, kwargs)
