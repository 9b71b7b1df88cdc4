"""What an observed forward pass leaves behind: calls on weights, activation calls, and what was skipped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor

from lswag_fast.kernels import ConvGeometry
from lswag_fast.observe.samples import Places, SampleLayout
from lswag_fast.observe.weights import Piece


@dataclass
class WeightCall:
    """One linear or convolution call on a weight.

    `places` tells where the samples may lie in its input (and, equally, in its output gradient), `layout` where they
    do, once that is known; `operands` is (x, grad_out) between its backward and that of the weight's last call.
    """

    index: int
    shape: torch.Size
    places: Places
    anchor: Tensor
    conv: ConvGeometry | None = None
    layout: SampleLayout | None = None
    operands: tuple[Tensor, Tensor] | None = None

    def __post_init__(self) -> None:
        """Sizes that leave no doubt settle the layout."""
        if self.places.certain:
            self.layout = self.places.options[0]


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
    """One activation call: for each possible place of the samples, the packed signs of the first samples.

    `words[c]` (V, ceil(n_packed/64)) belongs to `places.options[c]`; `layout` is the right one, once known.
    """

    index: int
    name: str
    shape: torch.Size
    places: Places
    words: tuple[Tensor, ...]
    n_packed: int
    layout: SampleLayout | None = None

    def __post_init__(self) -> None:
        """Sizes that leave no doubt settle the layout."""
        if self.places.certain:
            self.layout = self.places.options[0]

    @property
    def n_neurons(self) -> int:
        """V, the values per sample; the same for every possible layout."""
        return self.words[0].shape[0]

    @property
    def pattern_words(self) -> Tensor:
        """The words (V, W) of the settled layout."""
        return self.words[self.places.options.index(cast(SampleLayout, self.layout))]


@dataclass(frozen=True)
class Skipped:
    """A parameter or call that takes no part in the score, and why."""

    name: str
    reason: str
