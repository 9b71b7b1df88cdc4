"""The arguments of `conv1d` and `conv2d` calls, in one form: explicit symmetric padding, one number an axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.kernels import ConvGeometry

CONVOLUTIONS = {torch.conv1d: 1, torch.conv2d: 2}
"""Observed convolution functions and their number of spatial axes."""


def _bound(
    input: Tensor,  # noqa: A002 - the names are those of torch's arguments
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> tuple[Any, ...]:
    """Return the arguments of a conv call by position; torch's functions are builtins without a signature."""
    return input, weight, bias, stride, padding, dilation, groups


@dataclass(frozen=True)
class ConvArguments:
    """One convolution call; `x` already carries any asymmetric part of a "same" padding."""

    x: Tensor
    weight: Tensor
    bias: Tensor | None
    geometry: ConvGeometry

    @classmethod
    def parse(cls, n_axes: int, args: Sequence[Any], kwargs: Mapping[str, Any]) -> ConvArguments:
        """Bind a call's arguments as torch would; raises TypeError as torch does when they do not fit."""
        x, weight, bias, stride, padding, dilation, groups = _bound(*args, **kwargs)
        kernel = tuple(weight.shape[2:])
        dilations = _each_axis(dilation, n_axes)
        paddings, x = _symmetric(padding, kernel, dilations, x)
        geometry = ConvGeometry(kernel, _each_axis(stride, n_axes), paddings, dilations, int(groups))
        return cls(x, weight, bias, geometry)

    def forward(self) -> Tensor:
        """Run the convolution."""
        g = self.geometry
        function = torch.conv1d if len(g.kernel_size) == 1 else torch.conv2d
        out: Tensor = function(self.x, self.weight, self.bias, g.stride, g.padding, g.dilation, g.groups)
        return out


def _each_axis(value: int | Sequence[int], n_axes: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * n_axes if len(values) == 1 else values


def _symmetric(
    padding: str | int | Sequence[int], kernel: tuple[int, ...], dilation: tuple[int, ...], x: Tensor
) -> tuple[tuple[int, ...], Tensor]:
    """Turn "same" and "valid" into numbers; torch pads the odd element of "same" at the end of the axis."""
    if padding == "valid":
        return (0,) * len(kernel), x
    if padding != "same":
        return _each_axis(padding, len(kernel)), x  # type: ignore[arg-type]
    totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if any(total % 2 for total in totals):
        x = F.pad(x, [side for total in reversed(totals) for side in (0, total % 2)])
    return tuple(total // 2 for total in totals), x
