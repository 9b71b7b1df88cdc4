"""The origins of the tensors of one forward pass, followed from call to call."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from lswag_fast.observe.lineage.origin import CONSTANT, FAR, FEATURES, Gate, Origin
from lswag_fast.observe.modules import named_modules
from lswag_fast.observe.operations import ACTIVATIONS, is_activation
from lswag_fast.observe.operations.elementwise import EFFECTS, Effect, is_bounded
from lswag_fast.observe.weights import tensors_in

_PLAIN = frozenset((int, float, bool, str, type(None)))


def constants_of(model: nn.Module) -> list[Tensor]:
    """The parameters and buffers of a model; a shared one comes more than once."""
    found: list[Tensor | None] = []
    for _, module in named_modules(model):
        found += module._parameters.values()
        found += module._buffers.values()
    return [tensor for tensor in found if tensor is not None]


class Lineage:
    """The origins of the tensors of one forward pass.

    Example:
        >>> import torch
        >>> x, weight = torch.ones(2, 3), torch.ones(4, 3)
        >>> lineage = Lineage([weight])
        >>> hidden = x.relu()
        >>> lineage.follow(Tensor.relu, (x,), {}, hidden)
        True
        >>> lineage.add_activation(0, hidden)
        >>> lineage.add_weight(1, (hidden, weight), {}, hidden @ weight.t())
        >>> lineage.pairs([0])
        {1: 0}
    """

    def __init__(self, constants: Iterable[Tensor] = ()) -> None:
        """Begin a pass; `constants` are the model's parameters and buffers."""
        self._known: dict[int, tuple[weakref.ref[Tensor], Origin]] = {}
        self._sources: dict[int, Origin] = {}  # of each activation, where it comes from
        self._inputs: dict[int, Origin | None] = {}  # of each call on a weight, where its input comes from
        self._reaching = 0  # the activations whose features reach a weight or the output
        self._inside: Origin | None = None  # of what a composite makes, while it runs
        for tensor in constants:
            self._set(tensor, CONSTANT)

    def add_batch(self, inputs: Any) -> None:
        """Say what the model is called with."""
        for tensor in tensors_in(inputs):
            self._set(tensor, FEATURES)

    def comes_from_batch(self, tensor: Tensor) -> bool | None:
        """Whether a tensor is made from the batch; False of what parameters and constants alone make; None: unknown."""
        origin = self._get(tensor)
        return None if origin is None else origin is not CONSTANT

    def any_from_batch(self, tensors: Iterable[Tensor]) -> bool:
        """Whether one of them is known to be made from the batch."""
        known = self._known
        for tensor in tensors:
            entry = known.get(id(tensor))
            if entry is not None and entry[1] is not CONSTANT and entry[0]() is tensor:
                return True
        return False

    def is_given(self, tensor: Tensor) -> bool:
        """Whether a tensor is part of the batch, or made from it by no call on a weight, as tokens are."""
        origin = self._get(tensor)
        return origin is not None and origin is not CONSTANT and not origin.weights

    def follow(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> bool:
        """Follow a call that is not made on a weight; answers whether its output is that of an activation."""
        if not isinstance(out, Tensor):
            self._follow_parts(func, args, kwargs, out)
            return False
        origin, is_active = self._origin(func, args, kwargs, out)
        if origin is None:
            self._known.pop(id(out), None)
            return is_active
        self._known[id(out)] = (weakref.ref(out), origin)
        if args and out is args[0]:
            self._mix_base(out, origin)
        return is_active

    def add_activation(self, index: int, out: Tensor) -> None:
        """Number the activation whose output `follow` has just answered for."""
        source = self._get(out) or FEATURES
        if source is not CONSTANT:
            self._sources[index] = source
            origin = Origin(0, 1 << index, source.weights, source.gate)
            self._set(out, origin)
            self._mix_base(out, origin)

    def add_weight(self, index: int, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Tensor) -> None:
        """Number a call on a weight."""
        origin = self._received(None, args, kwargs) or self._inside
        self._inputs[index] = origin
        if origin is CONSTANT:
            self._set(out, CONSTANT)
            return
        self._reach(origin)
        self._set(out, (origin or FEATURES).behind(index))
        if self._inside is not None and self._inside is not CONSTANT:
            self._inside = self._inside.behind(index)

    def enter(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Begin a composite: what it makes inside comes from what it receives."""
        self._inside = self._received(EFFECTS.get(func), args, kwargs)

    def leave(self, out: Any) -> None:
        """End a composite that returned `out`."""
        if self._inside is not None:
            for tensor in tensors_in(out):
                self._set(tensor, self._inside)
        self._inside = None

    def add_outputs(self, outputs: Any) -> None:
        """Say what the model returned. A bounded function of the output is no activation of features but a soft cap."""
        for tensor in tensors_in(outputs):
            origin = self._get(tensor)
            if origin is None or origin.gate is not Gate.BOUNDED:
                self._reach(origin)
        for activation in sorted(self._sources, reverse=True):
            if self.counts(activation):  # and so does one whose features it receives
                self._reach(self._sources[activation])

    def counts(self, activation: int) -> bool:
        """Whether the features of an activation reach a weight or the output, be it through another activation."""
        return bool(self._reaching >> activation & 1)

    def pairs(self, usable: Sequence[int]) -> dict[int, int]:
        """Of each call on a weight, the activation that feeds it, one of `usable`, which are in order of execution.

        Without an activation before it, a weight takes the first one that it feeds itself. Where the data tell nothing,
        it takes the one executed last before it, or else the first.
        """
        chosen = sum(1 << activation for activation in usable)
        return {weight: self._feeding(weight, origin, usable, chosen) for weight, origin in self._inputs.items()}

    def is_constant(self, weight: int) -> bool:
        """Whether the input of a call on a weight comes from no sample."""
        return self._inputs.get(weight) is CONSTANT

    def _feeding(self, weight: int, origin: Origin | None, usable: Sequence[int], chosen: int) -> int:
        if origin is not None and origin.activations & chosen:
            return (origin.activations & chosen).bit_length() - 1
        by_order = max((a for a in usable if a < weight), default=usable[0])
        if origin is None or origin.activations:
            return by_order
        return next((a for a in usable if self._sources[a].weights >> weight & 1), by_order)

    def _origin(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Tensor
    ) -> tuple[Origin | None, bool]:
        """The origin of a call's output before it is numbered, and whether it is an activation's; None if unknown."""
        effect = EFFECTS.get(func)
        if effect is Effect.FRESH or effect is Effect.CONVERSION:
            return CONSTANT if effect is Effect.FRESH else None, False
        if effect is Effect.PRODUCT:
            product = self._product(tensors_in(args, kwargs.get("input"), kwargs.get("other")), out)
            if product is not None:
                return product
        origin = self._received(effect, args, kwargs)
        if origin is CONSTANT:
            return CONSTANT, False
        if effect is None and func not in ACTIVATIONS and (origin is None or not (origin.activations or origin.gate)):
            return origin, False  # most calls: there is nothing to lose
        if effect is Effect.WHOLE:
            return Origin(FAR, 0, (origin or FEATURES).weights, Gate.UNBOUNDED), True
        is_active = is_activation(func, args, kwargs) and out.is_floating_point()
        bounded = is_bounded(effect, args, kwargs)
        if is_active or bounded:
            distance, activations, weights, _ = origin or FEATURES
            return Origin(distance, activations, weights, Gate.BOUNDED if bounded else Gate.UNBOUNDED), is_active
        if origin is None:
            return None, False
        if effect is Effect.SHARE or not (out.is_floating_point() or out.is_complex()):
            return Origin(FAR, 0, origin.weights), False
        if origin.gate and effect is not Effect.SHIFT and effect is not Effect.PRODUCT:
            origin = Origin(origin.distance, origin.activations, origin.weights)
        return origin, False

    def _product(self, factors: Sequence[Tensor], out: Tensor) -> tuple[Origin, bool] | None:
        """The origin of a product, and whether it is an activation; None if it is not of two tensors of features."""
        if len(factors) < 2 or factors[0] is factors[1]:
            return None
        p, q = factors
        a, b = self._get(p) or FEATURES, self._get(q) or FEATURES
        if a is CONSTANT or b is CONSTANT:
            return None
        whole = a.joined(b)
        if p.shape != q.shape:  # the smaller one scales
            larger = a if p.shape == out.shape else b if q.shape == out.shape else whole
            return larger._replace(weights=whole.weights, gate=Gate.NONE), False
        if not (a.gate or b.gate):
            return whole, False
        if a.scales(b) or b.scales(a):
            scaled = b if a.scales(b) else a
            return scaled._replace(weights=whole.weights, gate=Gate.NONE), False
        return Origin(FAR, 0, whole.weights, Gate.UNBOUNDED), True

    def _received(self, effect: Effect | None, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Origin | None:
        """What the output of a call is made of, as far as its arguments tell."""
        whole = self._joined((*args, *kwargs.values()) if kwargs else args)
        if effect is not Effect.ATTENTION or whole is None:
            return whole
        value = self._get(args[2] if len(args) > 2 else kwargs["value"])
        return whole if value is None else value._replace(weights=whole.weights, gate=Gate.NONE)

    def _follow_parts(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any
    ) -> None:
        """Follow a call that returns several tensors, or none."""
        if func is Tensor.__setitem__:
            self._mix(args[0], self._joined((args[2],)))
        elif isinstance(out, (tuple, list)) and out and isinstance(out[0], Tensor):
            origin = self._received(EFFECTS.get(func), args, kwargs)
            for tensor in tensors_in(out):
                if origin is not None:
                    self._set(tensor, origin if tensor.is_floating_point() else Origin(FAR, 0, origin.weights))

    def _reach(self, origin: Origin | None) -> None:
        if origin is None:  # may be made of any activation so far
            self._reaching |= sum(1 << activation for activation in self._sources)
        elif origin.distance == 0:
            self._reaching |= origin.activations

    def _joined(self, values: Iterable[Any]) -> Origin | None:
        """The origin of what is made of all values: None if unknown, `CONSTANT` if it does not come from the batch."""
        found, unknown = CONSTANT, False
        known = self._known
        for value in values:
            if type(value) in _PLAIN:
                continue
            entry = known.get(id(value))
            origin: Origin | None
            if entry is not None and entry[0]() is value:
                origin = entry[1]
            elif isinstance(value, (list, tuple)):
                if not value or type(value[0]) is int:  # sizes
                    continue
                origin = self._joined(value)
            elif isinstance(value, Tensor):
                origin = None
            else:
                continue
            if origin is None:
                unknown = True
            elif origin is not CONSTANT and origin is not found:
                found = origin if found is CONSTANT else found.joined(origin)
        return None if unknown and found is CONSTANT else found

    def _mix_base(self, out: Tensor, origin: Origin) -> None:
        """A call wrote into `out`, which may be a part of another tensor."""
        if out._base is not None:
            self._mix(out._base, origin)

    def _mix(self, tensor: Tensor, origin: Origin | None) -> None:
        """Part of `tensor` was written."""
        before = self._get(tensor)
        if origin is not None and origin is not CONSTANT:
            self._set(tensor, origin if before is None or before is CONSTANT else before.joined(origin))

    def _get(self, tensor: Tensor) -> Origin | None:
        entry = self._known.get(id(tensor))
        return entry[1] if entry is not None and entry[0]() is tensor else None

    def _set(self, tensor: Tensor, origin: Origin) -> None:
        self._known[id(tensor)] = (weakref.ref(tensor), origin)
