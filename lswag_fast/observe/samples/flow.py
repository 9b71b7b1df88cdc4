"""Following where the samples lie from one call to the next, so that few tensors need an experiment.

The batch has its samples along axis 0, and so has the output of a call on a weight whose input is known. What other
calls do to the place of the samples is in `rules`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from lswag_fast.observe.samples.axis import AxisCandidates, Place, SampleAxis
from lswag_fast.observe.samples.rows import SampleRows
from lswag_fast.observe.samples.rules import RULES, Call
from lswag_fast.observe.weights import tensors_in


class SampleFlow:
    """The tensors of a forward pass in which the place of the samples is known.

    Args:
        n_samples: B.
    """

    def __init__(self, n_samples: int) -> None:
        self._n_samples = n_samples
        self._known: dict[int, tuple[weakref.ref[Tensor], Place]] = {}

    def mark(self, tensor: Tensor, place: Place) -> None:
        """Remember where the samples lie in `tensor`; a lone sample lies everywhere."""
        if self._n_samples > 1:
            self._known[id(tensor)] = (weakref.ref(tensor), place)

    def mark_batch(self, inputs: Any) -> None:
        """Remember that the batch's tensors have their samples along axis 0."""
        for tensor in tensors_in(inputs):
            if tensor.dim() and tensor.shape[0] == self._n_samples:
                self.mark(tensor, SampleAxis(0))

    def place_of(self, tensor: Tensor) -> Place | None:
        """Where the samples lie in `tensor`, if that is known."""
        reference, place = self._known.get(id(tensor), (None, None))
        return place if reference is not None and reference() is tensor else None

    def candidates(self, tensor: Tensor, by_size: AxisCandidates) -> AxisCandidates:
        """What is known of `tensor`, or else what its sizes allow; nothing where an axis that cannot hold them does."""
        place = self.place_of(tensor)
        if place is None:
            return by_size
        is_possible = place.axis in {option.axis for option in by_size.options} or isinstance(place, SampleRows)
        return AxisCandidates((place,) if is_possible else (), certain=is_possible)

    def _written(self, args: tuple[Any, ...]) -> None:
        """Carry the place of a value into the tensor, of unknown place, that it is written into."""
        target, index, value = args
        place = self.place_of(value) if isinstance(value, Tensor) else None
        if not isinstance(place, SampleAxis) or self.place_of(target) is not None:
            return
        part = target[index]
        if part.shape == value.shape and part.untyped_storage().data_ptr() == target.untyped_storage().data_ptr():
            stride, size = part.stride(place.axis), part.shape[place.axis]
            axes = [a for a in range(target.dim()) if (target.stride(a), target.shape[a]) == (stride, size)]
            if len(axes) == 1:
                self.mark(target, SampleAxis(axes[0], place.outer, place.inner))

    def follow(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        received: list[Tensor],
        out: Any,
        *,
        keep: bool = False,
    ) -> None:
        """Carry the place of the samples through a call.

        `received` are the tensors among the arguments. Where no rule knows, the place of an output is unknown, unless
        `keep` leaves what is known of it.
        """
        if func is Tensor.__setitem__:
            self._written(args)
        outs = (out,) if isinstance(out, Tensor) else out if isinstance(out, (tuple, list)) else ()
        rule = RULES.get(func)
        known = []
        if rule is not None:
            for tensor in received:
                place = self.place_of(tensor)
                if place is not None:
                    known.append((tensor, place))
        for tensor in outs:
            if not isinstance(tensor, Tensor):
                continue
            place = rule(Call(args, kwargs, tensor, known, self._n_samples)) if rule is not None and known else None
            if place is not None:
                self.mark(tensor, place)
            elif not keep:
                # An in-place call (`transpose_`) returns a tensor that may be known.
                self._known.pop(id(tensor), None)
