"""What a forward pass multiplies element by element: the scales of norms, of layers and of branches, and features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lswag_fast.observe.weights import tensors_in

_PRODUCTS = frozenset(
    (torch.mul, torch.multiply, Tensor.mul, Tensor.multiply, Tensor.mul_, Tensor.multiply_, Tensor.__mul__,
     Tensor.__rmul__, Tensor.__imul__)
)  # fmt: skip
_QUOTIENTS = frozenset(
    (torch.div, torch.divide, torch.true_divide, Tensor.div, Tensor.div_, Tensor.divide, Tensor.divide_,
     Tensor.true_divide, Tensor.true_divide_, Tensor.__truediv__, Tensor.__rtruediv__, Tensor.__itruediv__)
)  # fmt: skip
_SCALED_SUMS = frozenset((torch.addcmul, Tensor.addcmul, Tensor.addcmul_))  # input + tensor1 * tensor2
_SCALED_DIFFERENCES = frozenset(
    (torch.addcdiv, Tensor.addcdiv, Tensor.addcdiv_, torch.lerp, Tensor.lerp, Tensor.lerp_)
)  # input + tensor1 / tensor2, input + weight * (end - input)

MULTIPLYING = _PRODUCTS | _QUOTIENTS | _SCALED_SUMS | _SCALED_DIFFERENCES
"""The calls of which `factors` finds any."""

_NORM_WEIGHTS: dict[Callable[..., Any], int] = {
    F.layer_norm: 2,
    F.group_norm: 2,
    F.batch_norm: 3,
    F.instance_norm: 3,
    torch.layer_norm: 2,
    torch.group_norm: 2,
    torch.batch_norm: 1,
    torch.instance_norm: 1,
    F.rms_norm: 2,
}
"""The norms, each with the position of `weight` among its arguments."""


class ScaleRecorder(TorchFunctionMode):
    """Runs every call as it is and records the named tensors that it multiplies element by element.

    Attributes:
        scales: the names. What is added (a bias, a position embedding) is none.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
        >>> with ScaleRecorder(dict(model.named_parameters())) as recorder:
        ...     outputs = model(torch.ones(2, 3))
        >>> sorted(recorder.scales)
        ['1.weight']
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        """`tensors` are a model's parameters by name; a view of one counts as it."""
        super().__init__()
        self.scales: set[str] = set()
        self._names = {id(tensor): name for name, tensor in tensors.items()}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Record the scales of one call, and run it."""
        kwargs = kwargs or {}
        for tensor in tensors_in(_factors(func, args, kwargs)):
            for owner in (tensor, tensor._base):
                if id(owner) in self._names:
                    self.scales.add(self._names[id(owner)])
        return func(*args, **kwargs)


def factors(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """The tensors that a call multiplies with each other, or divides, element by element; what it adds is none.

    Example:
        >>> x, w = torch.ones(2), torch.ones(3, 2)
        >>> len(factors(torch.mul, (x, w), {})), len(factors(torch.add, (x, w), {}))
        (2, 0)
    """
    if func in _PRODUCTS or func in _QUOTIENTS:
        return tensors_in(args, kwargs)
    if func in _SCALED_SUMS or func in _SCALED_DIFFERENCES:
        return tensors_in(args[1:], {name: value for name, value in kwargs.items() if name not in ("input", "out")})
    return []


def _factors(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """The arguments by which a call multiplies."""
    if func in _PRODUCTS:
        return (*args, *kwargs.values())
    if func in _SCALED_SUMS:
        return (*args[1:], *kwargs.values())
    if func in _NORM_WEIGHTS:
        place = _NORM_WEIGHTS[func]
        return args[place : place + 1] or (kwargs.get("weight"),)
    return ()
