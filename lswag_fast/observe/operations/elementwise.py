"""What calls that are not made on a weight do with features: scale them, gate them, average them, lose them.

`lswag_fast.observe.lineage` reads this table to tell which activations a tensor is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.observe.operations.attention import ATTENTION


class Effect(Enum):
    """What a call does with the features that it receives. Without an entry it hands them on."""

    PRODUCT = auto()
    """The elementwise product of the first two arguments."""
    SHIFT = auto()
    """The output of an activation or gate still is one: scaled, shifted or seen in another shape."""
    GATE = auto()
    """A bounded function, an activation or not: multiplied with features, it may be what scales them."""
    CLAMP = auto()
    """A gate where it has an upper bound."""
    WHOLE = auto()
    """An activation made of several calls: what activations it was made of counts no more."""
    SHARE = auto()
    """Scores become shares: they decide how features mix, and are none."""
    ATTENTION = auto()
    """The output is made of the third argument, the values."""
    FRESH = auto()
    """Only the size and type of the tensor are used."""
    CONVERSION = auto()
    """A tensor is made of something else, of which nothing is known."""


EFFECTS: dict[Callable[..., Any], Effect] = {
    **dict.fromkeys(
        (
            torch.mul, torch.multiply, Tensor.mul, Tensor.mul_, Tensor.multiply, Tensor.multiply_,
            Tensor.__mul__, Tensor.__rmul__, Tensor.__imul__,
        ),
        Effect.PRODUCT,
    ),
    **dict.fromkeys(
        (
            torch.add, Tensor.add, Tensor.add_, Tensor.__add__, Tensor.__radd__, Tensor.__iadd__,
            torch.sub, Tensor.sub, Tensor.sub_, Tensor.__sub__, Tensor.__rsub__, Tensor.__isub__, torch.rsub,
            torch.div, Tensor.div, Tensor.div_, Tensor.__truediv__, Tensor.__itruediv__,
            torch.neg, Tensor.neg, Tensor.__neg__, F.dropout, Tensor.to, Tensor.float, Tensor.type_as,
            Tensor.contiguous, Tensor.clone, Tensor.view, Tensor.reshape, Tensor.unsqueeze, Tensor.__getitem__,
        ),
        Effect.SHIFT,
    ),
    **dict.fromkeys(
        (
            torch.sigmoid, torch.sigmoid_, Tensor.sigmoid, Tensor.sigmoid_, F.sigmoid, torch.special.expit,
            F.hardsigmoid, torch.erf, torch.erf_, Tensor.erf, Tensor.erf_, torch.special.erf,
            torch.tanh, torch.tanh_, Tensor.tanh, Tensor.tanh_, F.tanh, F.relu6, F.hardtanh, F.hardtanh_,
        ),
        Effect.GATE,
    ),
    **dict.fromkeys(
        (
            torch.clamp, torch.clamp_, Tensor.clamp, Tensor.clamp_, torch.clip, torch.clip_, Tensor.clip, Tensor.clip_,
        ),
        Effect.CLAMP,
    ),
    **dict.fromkeys(
        (torch.softmax, Tensor.softmax, F.softmax, torch.log_softmax, Tensor.log_softmax, F.log_softmax),
        Effect.SHARE,
    ),
    F.scaled_dot_product_attention: Effect.ATTENTION,
    ATTENTION: Effect.ATTENTION,
    **dict.fromkeys(
        (
            torch.zeros_like, torch.ones_like, torch.empty_like, torch.full_like, torch.rand_like, torch.randn_like,
            torch.randint_like,
            Tensor.new_zeros, Tensor.new_ones, Tensor.new_empty, Tensor.new_full, Tensor.new_tensor,
        ),
        Effect.FRESH,
    ),
    **dict.fromkeys((torch.tensor, torch.as_tensor), Effect.CONVERSION),
}  # fmt: skip
"""The functions of torch that do not simply hand features on."""


def is_bounded(effect: Effect | None, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call of this effect is a bounded function: sigmoid, tanh, a clamp from above."""
    if effect is Effect.CLAMP:
        return (args[2] if len(args) > 2 else kwargs.get("max")) is not None
    return effect is Effect.GATE
