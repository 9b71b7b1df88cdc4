"""The tensors of a forward pass in which a sample's part may be made of several samples, and the calls that did it.

A mark follows the values, through `detach` and `no_grad`, too: a sample whose output changes with the other samples
does not have the loss that it has alone, whatever gradients say. It passes through integers and booleans, too: a count
may divide, a comparison may gate. But most of them choose, as the routing of a mixture of experts does, or size a
buffer, and what is chosen may be each sample's own. So a mark that came through a comparison or an index is a doubt.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from lswag_fast.observe.operations.metadata import reads_values
from lswag_fast.observe.samples.call import Certainty
from lswag_fast.observe.samples.rules import ARITHMETIC, ELEMENTWISE

Marks = frozenset[tuple[str, Certainty]]
"""The names of calls that brought samples together, each with how certain that is."""

READERS = frozenset(
    (Tensor.item, Tensor.tolist, Tensor.numpy, Tensor.__float__, Tensor.__int__, Tensor.__index__, Tensor.__array__)
)
"""What makes Python numbers of a tensor, whose way nobody follows."""


def call_name(func: Callable[..., Any]) -> str:
    """The name of a function of torch as users write it.

    Example:
        >>> call_name(Tensor.add_), call_name(Tensor.__sub__), call_name(Tensor.__getitem__)
        ('add', 'sub', 'getitem')
    """
    return func.__name__.strip("_")


class MixedTensors:
    """Marks by tensor.

    Attributes:
        marks: by identity, the marked tensors that may still be there; empty while nothing was marked.
        read: the marks of tensors whose values became numbers of Python.

    Example:
        >>> import torch
        >>> mean, mixed = torch.ones(3), MixedTensors()
        >>> mixed.add(mean, "mean", Certainty.SURE)
        >>> centred = torch.ones(2, 3) - mean
        >>> mixed.carry(torch.sub, (), [mean], [centred])
        >>> [name for name, _ in mixed.of([centred])]
        ['mean']
    """

    def __init__(self) -> None:
        self.read: Marks = frozenset()
        self.marks: dict[int, tuple[weakref.ref[Tensor], Marks]] = {}

    def of(self, tensors: Iterable[Tensor]) -> Marks:
        """All marks of these tensors."""
        found = Marks()
        for tensor in tensors:
            entry = self.marks.get(id(tensor))
            if entry is not None and entry[0]() is tensor:
                found |= entry[1]
        return found

    def add(self, tensor: Tensor, name: str, certainty: Certainty) -> None:
        """Mark a tensor."""
        self._set(tensor, self.of([tensor]) | {(name, certainty)})

    def read_by(self, func: Callable[..., Any], tensors: Iterable[Tensor]) -> None:
        """Say that Python read numbers of several samples."""
        if any(tensor.is_floating_point() for tensor in tensors):
            self.read |= {(call_name(func), Certainty.OPEN)}

    def carry(
        self,
        func: Callable[..., Any] | None,
        args: tuple[Any, ...],
        received: Sequence[Tensor],
        outs: Iterable[Any],
    ) -> None:
        """Carry the marks of what a call received to what it returned, or wrote into."""
        if func is None:
            marks = self.of(received)
        else:
            marks = Marks().union(*(self._received(func, args, tensor) for tensor in received))
            if func in READERS:
                self.read |= marks
            if func is Tensor.__setitem__:
                outs = args[:1]
        for tensor in outs:
            if not isinstance(tensor, Tensor):
                continue
            own = self.of([tensor])
            self._set(tensor, marks | own)
            is_written = bool(args) and tensor is args[0]
            if is_written and tensor._base is not None:
                self._set(tensor._base, marks | own | self.of([tensor._base]))

    def _received(self, func: Callable[..., Any], args: tuple[Any, ...], tensor: Tensor) -> Marks:
        """The marks of a tensor that a call uses; what only chooses or sizes leaves a doubt."""
        marks = self.of([tensor]) if reads_values(func, args, tensor) else Marks()
        if not marks or is_number(tensor) or func in ELEMENTWISE:
            return marks
        is_operand = func in ARITHMETIC and bool(args) and tensor is args[0]
        return marks if is_operand else _doubtful(marks)

    def _set(self, tensor: Tensor, marks: Marks) -> None:
        if marks:
            self.marks[id(tensor)] = (weakref.ref(tensor), _doubtful(marks) if tensor.dtype is torch.bool else marks)


def is_number(tensor: Tensor) -> bool:
    """Whether it holds real or complex numbers, no integers or booleans, which may choose."""
    return tensor.is_floating_point() or tensor.is_complex()


def _doubtful(marks: Marks) -> Marks:
    return frozenset((name, Certainty.OPEN) for name, _ in marks)
