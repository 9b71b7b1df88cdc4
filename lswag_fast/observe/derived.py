"""Weights that a model computes from its parameters: which they are, and their names.

They are called after the module whose forward is running.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from lswag_fast.observe.lineage import Lineage
from lswag_fast.observe.weights import tensors_in


class DerivedWeights:
    """The weights that a model computes from its parameters alone during one forward pass.

    A module that runs twice may compute its weight twice: equal tensors of one module, made from the same parameters,
    are one weight. A kernel that no parameter takes part in (a fixed filter) and a weight made from the batch are none.

    Attributes:
        tensors: by name, in order of first use, the tensors that the calls received.
        names: of these tensors, by identity.

    Example:
        >>> class Scaled(nn.Linear):
        ...     def forward(self, x):
        ...         weight = 2 * self.weight
        ...         derived.follow([self.weight], weight)
        ...         return derived.name_of(weight)
        >>> model = Scaled(3, 2)
        >>> derived = DerivedWeights(model, Lineage(model.parameters()), dict(model.named_parameters()))
        >>> model(None), list(derived.tensors)
        ('weight#2', ['weight#2'])
    """

    def __init__(self, model: nn.Module, lineage: Lineage, parameters: Mapping[str, Tensor]) -> None:
        """`parameters` are those that count, or what stands in for them, by name."""
        self.tensors: dict[str, list[Tensor]] = {}
        self.names: dict[int, str] = {}
        self._model = model
        self._lineage = lineage
        self._made: dict[int, weakref.ref[Tensor]] = {}
        self._sources: dict[int, frozenset[str]] = {}  # of each tensor that is made, the parameters it is made from
        self._scaled: set[int] = set()  # the parameters, and the tensors that are one that was scaled or masked
        self._costs: list[int] = []  # multiply-accumulates of each call that made one
        self._makers: dict[int, frozenset[int]] = {}  # of each tensor, the places in `_costs` of the calls behind it
        for name, parameter in parameters.items():
            self._add(parameter, frozenset((name,)), frozenset())
            self._scaled.add(id(parameter))

    @cached_property
    def _parameter_names(self) -> set[str]:
        """Asked for only where there is a computed weight: it takes as long as a hundred calls."""
        return {name for name, _ in self._model.named_parameters()}

    def follow(self, received: Iterable[Tensor], out: object, macs: int = 0, scales: bool = False) -> None:
        """Follow a call: what parameters went into, and no sample, is made from parameters.

        Args:
            received: its tensors.
            out: what it returned, or wrote into.
            macs: its multiply-accumulates.
            scales: whether it only scales what it received.
        """
        received = tuple(received)
        if self._lineage.any_from_batch(received):
            return
        made = [tensor for tensor in received if self._is_made(tensor)]
        if not made:
            return
        sources = frozenset().union(*map(self.sources_of, made))
        makers = frozenset().union(*map(self._makers_of, made))
        if macs:
            makers |= {len(self._costs)}
            self._costs.append(macs)
        is_scaled = scales and all(map(self.is_scaled, made))
        for tensor in tensors_in(out):
            self._add(tensor, sources, makers)
            (self._scaled.add if is_scaled else self._scaled.discard)(id(tensor))
            if tensor._base is not None and any(tensor is one for one in received):  # part of it was written
                self._add(tensor._base, sources, makers)

    def _add(self, tensor: Tensor, sources: frozenset[str], makers: frozenset[int]) -> None:
        self._made[id(tensor)] = weakref.ref(tensor)
        self._sources[id(tensor)] = sources
        self._makers[id(tensor)] = makers

    def is_scaled(self, tensor: Tensor) -> bool:
        """Whether it is a parameter, or one that was scaled or masked element by element."""
        made = self._made_of(tensor)
        return made is not None and id(made) in self._scaled

    def name_of(self, weight: Tensor) -> str | None:
        """The name of the weight that a call received; None where it is none of these.

        To be called from inside the model's forward.
        """
        if id(weight) in self.names:
            return self.names[id(weight)]
        if self._lineage.comes_from_batch(weight) or self.is_fixed(weight):
            return None
        name = self._equal(weight) or derived_name(self._model, self.tensors.keys() | self._parameter_names)
        self.tensors.setdefault(name, []).append(weight)
        self.names[id(weight)] = name
        return name

    def sources(self, names: Iterable[str]) -> frozenset[str]:
        """The parameters that the weights with these names are made from."""
        tensors = (tensor for name in names for tensor in self.tensors.get(name, ()))
        return frozenset().union(*(self.sources_of(tensor) for tensor in tensors))

    @property
    def macs(self) -> int:
        """The multiply-accumulates by which the weights were computed."""
        tensors = (tensor for weight in self.tensors.values() for tensor in weight)
        return sum(self._costs[maker] for maker in frozenset().union(*map(self._makers_of, tensors)))

    def sources_of(self, tensor: Tensor) -> frozenset[str]:
        """The parameters that a tensor is made from."""
        made = self._made_of(tensor)
        return frozenset() if made is None else self._sources[id(made)]

    def _makers_of(self, tensor: Tensor) -> frozenset[int]:
        made = self._made_of(tensor)
        return frozenset() if made is None else self._makers[id(made)]

    def _made_of(self, tensor: Tensor) -> Tensor | None:
        """The tensor, or the one that it is a view of, if that is made from parameters."""
        for candidate in (tensor, tensor._base):
            known = self._made.get(id(candidate))
            if known is not None and known() is candidate:
                return candidate
        return None

    def known_name(self, tensor: Tensor) -> str | None:
        """The name under which a call received this tensor as its weight; None where none did."""
        return self.names.get(id(tensor))

    def is_computed(self, tensor: Tensor) -> bool:
        """Whether it is made from parameters, and not from the batch."""
        return self._lineage.comes_from_batch(tensor) is False and self._is_made(tensor)

    def is_fixed(self, weight: Tensor) -> bool:
        """Whether neither the batch nor a parameter takes part in it."""
        return self._lineage.comes_from_batch(weight) is False and not self._is_made(weight)

    def _equal(self, weight: Tensor) -> str | None:
        """The name of the weight that the running module computed before from the same, with the same values."""
        base = derived_name(self._model, ())
        for name, (first, *_) in self.tensors.items():
            is_same = name.partition("#")[0] == base and self.sources_of(first) == self.sources_of(weight)
            if is_same and first.shape == weight.shape and torch.equal(first, weight):
                return name
        return None

    def _is_made(self, tensor: Tensor) -> bool:
        return self._made_of(tensor) is not None


def derived_name(model: nn.Module, taken: Collection[str]) -> str:
    """`blocks.0.weight`, or `blocks.0.weight#2` and so on where that is `taken`; `weight` outside of any module.

    To be called from inside the model's forward: the innermost frame whose `self` is one of its modules counts.
    """
    base = f"{_running_module(model)}.weight".lstrip(".")
    names = (base if n == 1 else f"{base}#{n}" for n in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def _running_module(model: nn.Module) -> str:
    modules: dict[int, str] = {id(module): name for name, module in model.named_modules()}
    owners = (id(frame.f_locals.get("self")) for frame in _frames())
    return next((modules[owner] for owner in owners if owner in modules), "")


def is_running(function: Callable[..., Any]) -> bool:
    """Whether a Python function has called us, directly or not."""
    return any(frame.f_code is function.__code__ for frame in _frames())


def _frames() -> Iterator[FrameType]:
    """The frames of the callers, the innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back
