"""The base of the observing modes: sorts the calls of the torch API into weight, activation and other calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lswag_fast.observe.activations import is_activation
from lswag_fast.observe.attention import ATTENTION, attention_candidates, attention_with
from lswag_fast.observe.convolution import CONVOLUTIONS, ConvArguments
from lswag_fast.observe.sample_axis import AxisCandidates, candidates_by_size


def _linear_candidates(x: Tensor, n_samples: int) -> AxisCandidates:
    return candidates_by_size(x.shape, n_samples, range(x.dim() - 1))


def _conv_candidates(x: Tensor, n_axes: int, n_samples: int) -> AxisCandidates:
    """Axis 0 or, where the shapes are ambiguous, a spatial axis; never the channels."""
    if x.dim() != n_axes + 2:
        return AxisCandidates((), certain=False)
    return candidates_by_size(x.shape, n_samples, (0, *range(2, x.dim())), folded=False)


class CallMode(TorchFunctionMode, ABC):
    """Measurements the weight and activation calls of a forward pass in order and hands each to a method.

    While a handler runs, the mode is off (torch's rule), so what a handler calls is not seen again.
    """

    def __init__(self, n_samples: int) -> None:
        super().__init__()
        self.n_samples = n_samples
        self.n_calls = 0

    @abstractmethod
    def on_linear(
        self, index: int, x: Tensor, weight: Tensor, bias: Tensor | None, candidates: AxisCandidates
    ) -> Tensor:
        """Run a linear call; `candidates` tells where the samples may lie in `x`."""

    @abstractmethod
    def on_conv(self, index: int, call: ConvArguments, candidates: AxisCandidates) -> Tensor:
        """Run a convolution call."""

    @abstractmethod
    def on_activation(self, index: int, func: Callable[..., Any], out: Tensor) -> None:
        """Take note of an activation's output."""

    def on_other(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run any other call."""
        return func(*args, **kwargs)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Sort one call."""
        kwargs = kwargs or {}
        if func is F.linear:
            return self._plain_linear(*args, **kwargs)
        if func in CONVOLUTIONS:
            return self._conv(CONVOLUTIONS[func], args, kwargs)
        if func is ATTENTION:
            return self._attention(args, kwargs)
        out = self.on_other(func, args, kwargs)
        if is_activation(func, args, kwargs) and isinstance(out, Tensor):
            self.on_activation(self._next(), func, out)
        return out

    def _next(self) -> int:
        self.n_calls += 1
        return self.n_calls - 1

    def _plain_linear(
        self,
        input: Tensor,  # noqa: A002 - torch's name of the argument
        weight: Tensor,
        bias: Tensor | None = None,
    ) -> Tensor:
        return self.on_linear(self._next(), input, weight, bias, _linear_candidates(input, self.n_samples))

    def _conv(self, n_axes: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
        call = ConvArguments.parse(n_axes, args, kwargs)
        return self.on_conv(self._next(), call, _conv_candidates(call.x, n_axes, self.n_samples))

    def _attention(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        query = args[0] if args else kwargs["query"]

        def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
            return self.on_linear(self._next(), x, weight, bias, attention_candidates(x, query, self.n_samples))

        return attention_with(linear)(*args, **kwargs)
