"""What an observed forward pass leaves behind: calls on weights, activation calls, and what was skipped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor

from lswag_fast.kernels import ConvGeometry
from lswag_fast.observe.sample_axis import AxisCandidates, SampleAxis
from lswag_fast.observe.weights import Piece


@dataclass
class WeightCall:
    """One linear or convolution call on a weight.

    `candidates` are the axes that may hold the samples in its input (and, equally, in its output gradient),
    `sample_axis` is the one that does, once that is known; `operands` is (x, grad_out) between its backward and that of
    the weight's last call. `output` gives the call's output again until its backward, when outputs were asked for.
    """

    index: int
    shape: torch.Size
    candidates: AxisCandidates
    anchor: Tensor
    conv: ConvGeometry | None = None
    sample_axis: SampleAxis | None = None
    operands: tuple[Tensor, Tensor] | None = None
    output: Callable[[], Tensor] | None = None

    def __post_init__(self) -> None:
        """Sizes that leave no doubt tell the sample axis."""
        if self.candidates.certain:
            self.sample_axis = self.candidates.options[0]


@dataclass
class ObservedWeight:
    """A weight and every call on it: a parameter, one piece of it, or a computed ("derived") tensor.

    `view` (O, ...) is the tensor that the calls received.
    """

    name: str
    kind: str
    piece: Piece
    view: Tensor
    calls: list[WeightCall] = field(default_factory=list)
    n_received: int = 0

    @property
    def first_index(self) -> int:
        """Place of its first call in the order of execution."""
        return self.calls[0].index


@dataclass
class ActivationCall:
    """One activation call of V = `n_neurons` values per sample, with what was asked for of its signs.

    For each candidate c of `candidates.options`: `words[c]` (V, ceil(n_packed/64)), the packed signs of the first
    `n_packed` samples; `agreements[c]` (B, B), on how many neurons two samples agree. `sample_axis` is the right one of
    the candidates, once that is known.
    """

    index: int
    name: str
    shape: torch.Size
    candidates: AxisCandidates
    n_neurons: int
    words: tuple[Tensor, ...]
    n_packed: int
    agreements: tuple[Tensor, ...] = ()
    sample_axis: SampleAxis | None = None

    def __post_init__(self) -> None:
        """Sizes that leave no doubt tell the sample axis."""
        if self.candidates.certain:
            self.sample_axis = self.candidates.options[0]

    def resolved(self, kept: tuple[Tensor, ...]) -> Tensor | None:
        """What `words` or `agreements` hold for the resolved sample axis; None when it was not asked for."""
        return kept[self.candidates.options.index(cast(SampleAxis, self.sample_axis))] if kept else None


@dataclass(frozen=True)
class Skipped:
    """A parameter or call that takes no part in the score, and why."""

    name: str
    reason: str
