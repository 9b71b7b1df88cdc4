"""A sum of products of tensors with a parameter among them, rewritten as a linear call.

The axes of a tensor are named by integers, as in `torch.einsum`. An axis of a parameter W that meets one of x and is
summed over is an input feature, one that only W has an output feature, and one that both have and keep tells groups
apart, each with a matrix of its own. The other axes of x are positions. So the product is a linear call on a view of
W, in whatever order the model wrote its axes.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.observe.operations.matrices.grouped_linear import grouped_linear
from lswag_fast.observe.operations.operation import CallObserver
from lswag_fast.observe.samples.axis import AxisCandidates, Place, SampleAxis
from lswag_fast.observe.weights import MATRIX_DIMS

Labels = tuple[int, ...]


class Operand(NamedTuple):
    """A tensor and the names of its axes."""

    tensor: Tensor
    labels: Labels

    def size_of(self, label: int) -> int:
        """Length of the axis with this label."""
        return self.tensor.shape[self.labels.index(label)]

    def without(self, label: int) -> Operand:
        """The first index of the axis `label`, as a view."""
        axis = self.labels.index(label)
        return Operand(self.tensor.select(axis, 0), self.labels[:axis] + self.labels[axis + 1 :])

    def summed(self, labels: Collection[int]) -> Operand:
        """Sum over the axes with these labels."""
        axes = [axis for axis, label in enumerate(self.labels) if label in labels]
        kept = tuple(label for label in self.labels if label not in labels)
        return Operand(self.tensor.sum(axes), kept) if axes else self

    def ordered(self, labels: Labels) -> Tensor:
        """The tensor with its axes in another order, as a view; itself where that is its order."""
        if labels == self.labels:
            return self.tensor
        return self.tensor.permute([self.labels.index(label) for label in labels])


def contract(observer: CallObserver, operands: Sequence[Operand], out: Labels, bias: Tensor | None = None) -> Any:
    """Compute the sum of products over all labels that are not in `out`, and add a bias.

    Returns:
        the tensor with the axes `out`; `NotImplemented` where not exactly one operand is a parameter of two or more
        axes, or where that is used otherwise than as a matrix: as a scale, summed by itself, with an axis twice. Nor
        may a row or a column of such a parameter be another operand or the bias.
    """
    weights = [o for o in operands if _is_of_matrix(observer, o.tensor)]
    is_alone = len(weights) == 1 and not (bias is not None and _is_of_matrix(observer, bias))
    if not is_alone or len(weights[0].labels) < MATRIX_DIMS:
        return NotImplemented
    if any(len(set(o.labels)) < len(o.labels) for o in operands):
        return NotImplemented
    weight, others = weights[0], [o for o in operands if o is not weights[0]]
    x = next((o for o in others if set(o.labels) & set(weight.labels)), None)
    if x is None:
        return NotImplemented
    rest = [o for o in others if o is not x]
    kept = set(out).union(*(o.labels for o in rest))
    product = _Product.of(x, weight, kept)
    if product is None:
        return NotImplemented
    samples = Samples.of(observer, x)
    if bias is None or bias.dim() != 1 or rest or product.groups or (*product.positions, *product.outputs) != out:
        result = _combined([product.run(observer, samples), *rest], out)
        result = result if bias is None else result + bias.to(result.dtype)
    else:
        result = product.run(observer, samples, bias).tensor
    place = None if samples is None else samples.among(out)
    if place is not None:
        observer.mark(result, place)
    return result


class Samples(NamedTuple):
    """The axis that holds the samples, and how."""

    label: int
    place: Place

    @classmethod
    def of(cls, observer: CallObserver, operand: Operand) -> Samples | None:
        """Those of an operand, where their place is known."""
        place = observer.place_of(operand.tensor)
        return None if place is None else cls(operand.labels[place.axis], place)

    def among(self, labels: Labels) -> Place | None:
        """Their place in a tensor whose axes have these names; None where it cannot be said."""
        if self.label not in labels:
            return None
        axis = labels.index(self.label)
        if isinstance(self.place, SampleAxis):
            return SampleAxis(axis, self.place.outer, self.place.inner)
        return self.place if axis == self.place.axis else None


def _is_of_matrix(observer: CallObserver, tensor: Tensor) -> bool:
    """Whether a tensor is a parameter of two or more axes, or a view of one, which may be a vector."""
    owner = tensor if tensor._base is None else tensor._base
    return owner.dim() >= MATRIX_DIMS and observer.is_weight(tensor)


def _combined(operands: Sequence[Operand], out: Labels) -> Tensor:
    """The product of operands without a weight, summed over what is not in `out`."""
    if len(operands) == 1 and set(operands[0].labels) == set(out):
        return operands[0].ordered(out)
    dtype = operands[0].tensor.dtype  # that of the linear call, which autocast may have chosen
    return torch.einsum(*(part for o in operands for part in (o.tensor.to(dtype), list(o.labels))), list(out))


class _Product(NamedTuple):
    """The product of x and a weight, with the classes of their labels."""

    x: Operand
    weight: Operand
    positions: Labels
    groups: Labels
    inputs: Labels
    outputs: Labels

    @classmethod
    def of(cls, x: Operand, weight: Operand, kept: Collection[int]) -> _Product | None:
        """Sort the labels, of which those `kept` are not summed over; None where it is no product with a matrix."""
        for label in weight.labels:
            if label in x.labels and _is_broadcast(weight, label, x.size_of(label)):
                weight = weight.without(label)
        for label in weight.labels:
            if label in x.labels and x.size_of(label) != weight.size_of(label):
                if x.size_of(label) != 1 or label not in kept:
                    return None
                x = x.without(label)
        x = x.summed({label for label in x.labels if label not in weight.labels and label not in kept})
        shared = [label for label in weight.labels if label in x.labels]
        product = cls(
            x,
            weight,
            positions=tuple(label for label in x.labels if label not in weight.labels),
            groups=tuple(label for label in shared if label in kept),
            inputs=tuple(label for label in shared if label not in kept),
            outputs=tuple(label for label in weight.labels if label not in x.labels),
        )
        is_matrix = product.inputs and weight.tensor.numel() and set(kept).issuperset(product.outputs)
        return product if is_matrix else None

    def run(self, observer: CallObserver, samples: Samples | None, bias: Tensor | None = None) -> Operand:
        """Run it as one call on a matrix; `bias` (O,) only where there is one axis of output features and no groups."""
        candidates = None
        if samples is not None:
            place = samples.among(self.positions)
            candidates = AxisCandidates(() if place is None else (place,), certain=place is not None)
        x = self.x.ordered((*self.positions, *self.groups, *self.inputs))
        source = self.weight.ordered((*self.groups, *self.outputs, *self.inputs))
        n_inputs = math.prod(self.x.size_of(label) for label in self.inputs)
        is_matrix = not self.groups and len(self.outputs) == len(self.inputs) == 1
        matrix = source if is_matrix else source.reshape(-1, n_inputs)
        x = x.flatten(len(self.positions) + len(self.groups)) if len(self.inputs) > 1 else x
        known_as = None if matrix is source else source
        if self.groups:
            x = x.flatten(len(self.positions), -2) if len(self.groups) > 1 else x
            out = observer.inner_call(grouped_linear, (x, matrix), candidates, known_as)
        else:
            out = observer.inner_call(F.linear, (x, matrix, bias), candidates, known_as)
        labels = (*self.positions, *self.groups, *self.outputs)
        sizes = [(self.weight if label in self.weight.labels else self.x).size_of(label) for label in labels]
        return Operand(out if list(out.shape) == sizes else out.reshape(sizes), labels)


def _is_broadcast(operand: Operand, label: int, size: int) -> bool:
    """Whether an axis repeats one index, against an axis of this size."""
    axis = operand.labels.index(label)
    return size > 1 and (operand.tensor.shape[axis] == 1 or operand.tensor.stride(axis) == 0)
