"""Noting which tensors a forward pass uses as weights, where the pass itself is left to autograd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.observe.convolution import ConvArguments
from lswag_fast.observe.dispatch import CallMode
from lswag_fast.observe.sample_axis import AxisCandidates

BATCH_NORMS = frozenset((F.batch_norm, torch.batch_norm))


class WeightRecorder(CallMode):
    """Runs every call as it is and notes the named tensors that linear and convolution calls take as their weight.

    `tensors` are a model's parameters, or what stands in for them, by name; a slice of one counts as it.
    `weights` then holds the names in order of first use, each with the number of activation calls before it,
    `conv_weights` those of convolutions. With `skip_batch_norm` a BatchNorm gives back its input, as the published
    synflow has it.
    """

    def __init__(self, tensors: Mapping[str, Tensor], *, skip_batch_norm: bool = False) -> None:
        super().__init__(n_samples=1)
        self.weights: dict[str, int] = {}
        self.conv_weights: set[str] = set()
        self.n_activations = 0
        self._names = {id(tensor): name for name, tensor in tensors.items()}
        self._skip_batch_norm = skip_batch_norm

    def on_linear(
        self, index: int, x: Tensor, weight: Tensor, bias: Tensor | None, candidates: AxisCandidates
    ) -> Tensor:
        """Note the weight of a linear call."""
        self._note(weight)
        return F.linear(x, weight, bias)

    def on_conv(self, index: int, call: ConvArguments, candidates: AxisCandidates) -> Tensor:
        """Note the weight of a convolution."""
        name = self._note(call.weight)
        if name is not None:
            self.conv_weights.add(name)
        return call.forward()

    def on_activation(self, index: int, func: Callable[..., Any], out: Tensor) -> None:
        """Count the activation calls."""
        self.n_activations += 1

    def on_other(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run any other call, or skip it if it is a BatchNorm and that is asked for."""
        if self._skip_batch_norm and func in BATCH_NORMS:
            return args[0] if args else kwargs["input"]
        return func(*args, **kwargs)

    def _note(self, weight: Tensor) -> str | None:
        name = self._names.get(id(weight))
        if name is None and weight._base is not None:
            name = self._names.get(id(weight._base))
        if name is not None:
            self.weights.setdefault(name, self.n_activations)
        return name
