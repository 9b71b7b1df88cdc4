"""Gathering the operands of the wanted weight calls during backward, until a weight has those of all its calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from lswag_fast.observe import Observation, ObservedWeight, Skipped, WeightCall
from lswag_fast.passes.options import PERCENTILE_BINS, PassOptions

Operands = tuple[Tensor, Tensor]


def percentile(position: int, n_layers: int) -> int:
    """Bin of layer l = 1..L (Eq. 6, with l/D read for the printed 1/D): 0..10, bin 10 holding only the last layer."""
    return int(position * 100 / n_layers // (100 / PERCENTILE_BINS))


class Reducer(ABC):
    """Receives operands during backward and hands a weight to `take` once its calls are complete.

    `names` are the observable weights in order of execution and `kinds` what they are, both known after `plan`.
    """

    def __init__(self, options: PassOptions, n_samples: int) -> None:
        self.names: tuple[str, ...] = ()
        self.kinds: dict[str, str] = {}
        self._options = options
        self._n_samples = n_samples
        self._wanted: dict[int, ObservedWeight] = {}
        self._earliest = 0
        self._taken: set[str] = set()

    @abstractmethod
    def take(self, weight: ObservedWeight) -> None:
        """Reduce a weight; its calls hold their operands until this returns."""

    @abstractmethod
    def note(self, weight: ObservedWeight, call: WeightCall) -> None:
        """Look at one wanted call while its output can still be had."""

    def plan(self, found: Observation, n_samples: int) -> list[Tensor]:
        """Choose the calls whose statistics are asked for; returns their anchors.

        `n_samples` is the number of samples of this forward pass (a chunk, or the whole batch).
        """
        self._n_samples = n_samples
        self.names = tuple(dict.fromkeys(weight.name for weight in found.weights))
        self.kinds = {weight.name: weight.kind for weight in found.weights}
        n_layers = len(self.names)
        inside = {name for place, name in enumerate(self.names, 1) if self._selected(percentile(place, n_layers))}
        chosen = [weight for weight in found.weights if weight.name in inside]
        self._wanted = {id(call): weight for weight in chosen for call in weight.calls}
        calls = [call for weight in chosen for call in weight.calls]
        self._earliest = min((call.index for call in calls), default=0)
        return [call.anchor for call in calls]

    def _selected(self, bin_: int) -> bool:
        interval = self._options.layers
        return interval is None or interval[0] <= bin_ <= interval[1]

    def receive(self, weight: ObservedWeight, call: WeightCall) -> bool:
        """Take the operands of one call; True when a wanted call lies further upstream."""
        if id(call) in self._wanted:
            weight.n_received += 1
            self.note(weight, call)
            if weight.n_received == len(weight.calls):
                self._complete(weight)
        else:
            call.operands = None
        call.output = None
        return call.index > self._earliest

    def finish(self) -> tuple[Skipped, ...]:
        """Reduce the weights some of whose calls saw no gradient; list those that saw none."""
        unused: dict[str, Skipped] = {}
        weights = {id(weight): weight for weight in self._wanted.values()}
        self._wanted = {}
        for weight in weights.values():
            if 0 < weight.n_received < len(weight.calls):
                self._complete(weight)
            elif weight.n_received == 0:
                unused[weight.name] = Skipped(weight.name, "no gradient reached it: its output is not used in the loss")
        return tuple(skip for name, skip in unused.items() if name not in self._taken)

    def _complete(self, weight: ObservedWeight) -> None:
        self.take(weight)
        self._taken.add(weight.name)
        for call in weight.calls:
            call.operands = None


def sample_first(call: WeightCall, n_samples: int, group: int = 1) -> Iterator[Operands]:
    """View a call's operands as (B, ...); of a convolution with further position axes, plane by plane.

    Groups of `group` consecutive samples become one sample each, their members further positions.
    """
    if call.operands is None or call.sample_axis is None:
        return
    sample_axis = call.sample_axis
    x, grad_out = (_grouped(sample_axis.sample_first(operand, n_samples), group) for operand in call.operands)
    if call.conv is None:
        yield x, grad_out
        return
    extra = x.dim() - len(call.conv.kernel_size) - 2
    yield from zip(_planes(x, extra), _planes(grad_out, extra), strict=True)


def _grouped(tensor: Tensor, group: int) -> Tensor:
    return tensor if group == 1 else torch.unflatten(tensor, 0, (-1, group))


def _planes(tensor: Tensor, extra: int) -> Sequence[Tensor]:
    """Cut the `extra` position axes after the samples into separate (B, C, ...) tensors."""
    planes = [tensor]
    for _ in range(extra):
        planes = [part for plane in planes for part in plane.unbind(1)]
    return planes
