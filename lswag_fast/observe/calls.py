"""What an observed forward pass leaves behind: calls on weights, activation calls, and what was skipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor

from lswag_fast import kernels
from lswag_fast.kernels import ConvGeometry
from lswag_fast.observe.operations import LOOKUP, ObservedOperation, one_hot
from lswag_fast.observe.samples.axis import AxisCandidates, Place
from lswag_fast.observe.samples.rows import SampleRows
from lswag_fast.observe.weights import Piece

Operands = tuple[Tensor, Tensor]
"""The two tensors whose product is a weight gradient: x and grad_out."""


@dataclass
class WeightCall:
    """One call on a weight.

    Attributes:
        index: its number among the weight and activation calls of the pass.
        operation: its entry in the table of observed operations.
        shape: of its input.
        candidates: the axes that may hold the samples in its input (and, equally, in its output and its gradient).
        anchor: the scalar whose gradient autograd is asked for, so that backward reaches the call.
        geometry: of a convolution, else None.
        transposed: whether it received the transpose of the weight's view; linear calls only.
        sample_axis: the candidate that does hold the samples, once that is known.
        operands: (x, grad_out) between its backward and that of the weight's last call.
        output: gives the call's output again until its backward, when outputs were asked for.
    """

    index: int
    operation: ObservedOperation
    shape: torch.Size
    candidates: AxisCandidates
    anchor: Tensor
    geometry: ConvGeometry | None = None
    transposed: bool = False
    sample_axis: Place | None = None
    operands: Operands | None = None
    output: Callable[[], Tensor] | None = None

    def __post_init__(self) -> None:
        """Sizes that leave no doubt tell the sample axis."""
        if self.candidates.certain:
            self.sample_axis = self.candidates.options[0]

    @property
    def conv(self) -> ConvGeometry | None:
        """The geometry of a convolution-like weight gradient; None for a linear-like one."""
        return self.operation.kernel_geometry(self.geometry, self.shape)

    def gradient_operands(self, n_samples: int, group: int = 1) -> Sequence[Operands]:
        """View the operands of the weight gradient as the kernels take them, (B, ...); nothing where there are none.

        Groups of `group` consecutive samples become one sample each, their members further positions. A convolution
        with further position axes (windows, groups) comes plane by plane.
        """
        if self.operands is None or self.sample_axis is None:
            return ()
        x, grad_out = self.operands
        x, grad_out = self.sample_axis.sample_first(x, n_samples), self.sample_axis.sample_first(grad_out, n_samples)
        if group > 1:
            x, grad_out = (torch.unflatten(operand, 0, (-1, group)) for operand in (x, grad_out))
        x, grad_out = self.operation.weight_operands(x, grad_out, self.geometry)
        conv = self.conv
        if conv is None:
            return ((grad_out, x) if self.transposed else (x, grad_out),)
        extra = x.dim() - len(conv.kernel_size) - 2
        return ((x, grad_out),) if extra == 0 else list(zip(_planes(x, extra), _planes(grad_out, extra), strict=True))

    def output_and_gradient(self, n_samples: int) -> Operands | None:
        """The output and its gradient, both (B, ..., O), groups' features together; None unless both are there."""
        if self.output is None or self.operands is None or self.sample_axis is None:
            return None
        pair = (self.output(), self.operands[1])
        out, grad_out = (self.sample_axis.sample_first(tensor, n_samples) for tensor in pair)
        if self.geometry is None:
            groups = 1 if self.conv is None else self.conv.groups
            return (out, grad_out) if groups == 1 else (out.flatten(-2), grad_out.flatten(-2))
        channels = -1 - len(self.geometry.kernel_size)
        return out.movedim(channels, -1), grad_out.movedim(channels, -1)


@dataclass
class ObservedWeight:
    """A weight and every call on it: a parameter, one piece of it, or a computed ("derived") tensor.

    `view` (O, ...) has its elements as the calls received them, the first one where others received the transpose.
    """

    name: str
    kind: str
    piece: Piece
    view: Tensor
    calls: list[WeightCall] = field(default_factory=list)

    @property
    def first_index(self) -> int:
        """Place of its first call in the order of execution."""
        return self.calls[0].index

    @property
    def conv(self) -> ConvGeometry | None:
        """The geometry that all its calls share; None for a linear-like weight."""
        return self.calls[0].conv

    @property
    def looks_up(self) -> bool:
        """Whether its calls do nothing but look up rows."""
        return not [call for call in self.calls if call.operation is not LOOKUP]

    def occurring_rows(self) -> Tensor | None:
        """The rows that its calls look up, in order; None where one of them uses the whole weight."""
        if not self.looks_up:
            return None
        indices = torch.cat([call.operands[0].flatten() for call in self.calls if call.operands is not None])
        rows: Tensor = torch.unique(indices)
        return rows

    def gradient_operands(self, n_samples: int, group: int = 1, rows: Tensor | None = None) -> list[Operands]:
        """The operands of all its calls whose gradient arrived; see `WeightCall.gradient_operands`.

        With `rows`, which are those of `occurring_rows`, the gradients are those of these rows of the weight.
        """
        return [
            self._vectors(x, grad_out, rows)
            for call in self.calls
            for x, grad_out in call.gradient_operands(n_samples, group)
        ]

    def _vectors(self, x: Tensor, grad_out: Tensor, rows: Tensor | None) -> Operands:
        """Operands with the numbers of rows as vectors."""
        exact = torch.float64 if torch.float64 in (x.dtype, grad_out.dtype) else torch.bfloat16  # zeros and ones
        if not grad_out.is_floating_point():
            grad_out = one_hot(grad_out, exact, self.view.shape[0], rows)
        elif not x.is_floating_point():  # the calls before received the transpose
            x = one_hot(x, exact, self.view.shape[1])
        return x, grad_out


@dataclass
class ActivationCall:
    """One activation call of V = `n_neurons` values per sample, with what was asked for of its signs.

    For each candidate c of `candidates.options`: `words[c]` (V, ceil(n_packed/64)), the packed signs of the first
    `n_packed` samples, as narrow as these allow; `agreements[c]` (B, B), on how many neurons two samples agree.
    `sample_axis` is the right one of the candidates, once that is known.
    """

    index: int
    name: str
    shape: torch.Size
    candidates: AxisCandidates
    n_neurons: int
    words: tuple[Tensor, ...]
    n_packed: int
    agreements: tuple[Tensor, ...] = ()
    sample_axis: Place | None = None

    def __post_init__(self) -> None:
        """Sizes that leave no doubt tell the sample axis."""
        if self.candidates.certain:
            self.sample_axis = self.candidates.options[0]

    @property
    def follows_rows(self) -> bool:
        """Whether the data chose how many rows a sample has, so that V is that of the sample with the most."""
        return isinstance(self.sample_axis, SampleRows)

    @property
    def resolved_words(self) -> Tensor:
        """The signs (V, ceil(n_packed/64)), int64, for the resolved sample axis."""
        return kernels.wide_words(self.words[self._choice], self.n_packed)

    @property
    def resolved_agreements(self) -> Tensor | None:
        """What `agreements` hold for the resolved sample axis; None when they were not asked for."""
        return self.agreements[self._choice] if self.agreements else None

    @property
    def _choice(self) -> int:
        return self.candidates.options.index(cast(Place, self.sample_axis))


@dataclass(frozen=True)
class Skipped:
    """A parameter or call that takes no part in the score, and why; `is_activation` for the call of an activation."""

    name: str
    reason: str
    is_activation: bool = False


def _planes(tensor: Tensor, extra: int) -> Sequence[Tensor]:
    """Cut the `extra` position axes after the samples into separate (B, C, ...) tensors."""
    planes = [tensor]
    for _ in range(extra):
        planes = [part for plane in planes for part in plane.unbind(1)]
    return planes
