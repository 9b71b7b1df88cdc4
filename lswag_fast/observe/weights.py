"""Which parameter a tensor is, or is a view of, and whether the views of one parameter overlap."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._C._autograd import CreationMeta

from lswag_fast.observe.modules import named_modules, named_parameters

MATRIX_DIMS = 2  # weights have at least two axes; biases, norms and scales are not scored


def owner_of(tensor: Tensor) -> Tensor:
    """The tensor that this one is a view of, or itself.

    A view that an autograd function of the user's returns owns itself: its gradient is not that of what it views.

    Example:
        >>> weight = torch.ones(2, 3)
        >>> owner_of(weight.t()) is owner_of(weight) is weight
        True
    """
    base = tensor._base
    if base is None or torch._C._autograd._get_creation_meta(tensor) == CreationMeta.IN_CUSTOM_FUNCTION:
        return tensor
    return base


class Piece(NamedTuple):
    """A view of a parameter: its place in the parameter's storage, in elements."""

    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @classmethod
    def of(cls, view: Tensor) -> Piece:
        """The place of `view`."""
        return cls(int(view.storage_offset()), tuple(view.shape), view.stride())

    def upright(self) -> Piece:
        """The place of a matrix or of its transpose, whichever steps further along axis 0: one for both."""
        if self.stride[0] >= self.stride[1]:
            return self
        return Piece(self.offset, self.size[::-1], self.stride[::-1])


class WeightTable:
    """The parameters of a model by identity: the ones that carry gradients, and the frozen ones.

    Attributes:
        parameters: by qualified name.
        frozen: the names of those that ask for no gradient.
        names: of the parameters, by identity.
    """

    def __init__(self, model: nn.Module) -> None:
        """Tied parameters count once, under their first qualified name."""
        self.parameters: dict[str, nn.Parameter] = named_parameters(named_modules(model))
        self.frozen = {name for name, p in self.parameters.items() if not p.requires_grad}
        self.names = {id(p): name for name, p in self.parameters.items()}

    def name_of(self, tensor: Tensor) -> str | None:
        """Qualified name of the parameter that `tensor` is or is a differentiable view of; None otherwise.

        A detached tensor shares storage but no gradient: it is not the parameter.
        """
        name = self.names.get(id(tensor))
        return name if name is not None or tensor._base is None else self.names.get(id(owner_of(tensor)))

    def matrices(self) -> list[tuple[str, nn.Parameter]]:
        """The parameters that could be the weight of a linear or conv call."""
        return [(name, p) for name, p in self.parameters.items() if p.dim() >= MATRIX_DIMS]


def overlapping(pieces: Iterable[Piece]) -> bool:
    """Whether any element lies in two of the (distinct) pieces, or twice in one of them."""
    pieces = tuple(pieces)
    if len(pieces) < 2:  # nothing else to overlap with
        return any(map(_repeats, pieces))
    if any(map(_repeats, pieces)):
        return True
    end = max(p.offset + sum((n - 1) * s for n, s in zip(p.size, p.stride, strict=True)) for p in pieces) + 1
    seen = torch.zeros(end, dtype=torch.uint8, device="cpu")
    for piece in pieces:
        seen.as_strided(piece.size, piece.stride, piece.offset).add_(1)
    return bool((seen > 1).any())


def _repeats(piece: Piece) -> bool:
    """Whether a view may show an element twice (expanded, sliding windows): an axis steps within the inner ones."""
    reach = 0
    for stride, size in sorted(zip(piece.stride, piece.size, strict=True)):
        if size > 1 and stride <= reach:
            return True
        reach += (size - 1) * stride
    return False


def tensors_in(*values: Any) -> list[Tensor]:
    """Every tensor in the values, also inside nested lists, tuples and dicts; in no particular order."""
    found: list[Tensor] = []
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            waiting.extend(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
    return found
