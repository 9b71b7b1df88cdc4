"""Following where the samples lie from one call to the next, so that few tensors need an experiment.

The batch has its samples along axis 0, and so has the output of a call on a weight whose input is known. What other
calls do to the place of the samples is in `rules`. Calls that bring samples together leave a mark on what they return,
and on everything that is made of it: only a network with such calls pays for them.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor

from lswag_fast.observe.operations.metadata import reads_values
from lswag_fast.observe.samples.axis import AxisCandidates, Place, SampleAxis
from lswag_fast.observe.samples.call import Call, Certainty, Mixed
from lswag_fast.observe.samples.mixing import READERS, MixedTensors, call_name, is_number
from lswag_fast.observe.samples.rows import SampleRows
from lswag_fast.observe.samples.rules import ELEMENTWISE, RULES
from lswag_fast.observe.weights import tensors_in


class SampleFlow:
    """The tensors of a forward pass in which the place of the samples is known.

    Args:
        n_samples: B.

    Attributes:
        mixed: the tensors in which a sample's part may be made of several samples.
    """

    def __init__(self, n_samples: int) -> None:
        self._n_samples = n_samples
        self._known: dict[int, tuple[weakref.ref[Tensor], Place]] = {}
        self.mixed = MixedTensors()

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
        entry = self._known.get(id(tensor))
        return entry[1] if entry is not None and entry[0]() is tensor else None

    def candidates(self, tensor: Tensor, by_size: AxisCandidates) -> AxisCandidates:
        """What is known of `tensor`, or else what its sizes allow; nothing where an axis that cannot hold them does."""
        place = self.place_of(tensor)
        if place is None:
            return by_size
        for option in by_size.options:
            if option.axis == place.axis:
                return AxisCandidates((place,), certain=True)
        is_possible = isinstance(place, SampleRows)
        return AxisCandidates((place,) if is_possible else (), certain=is_possible)

    def _written(self, args: tuple[Any, ...]) -> None:
        """Carry the place of a value into the tensor, of unknown place, that it is written into."""
        target, index, value = args
        place = self.place_of(value) if isinstance(value, Tensor) else None
        if isinstance(place, SampleAxis) and self.place_of(target) is None:
            self._place_written(target, target[index], value, place)
        if isinstance(place, SampleRows) or (place is not None and self.place_of(target) is None):
            self.mixed.add(target, "setitem", Certainty.OPEN)

    def _place_written(self, target: Tensor, part: Tensor, value: Tensor, place: SampleAxis) -> None:
        """Find the axis of a value, which is written into a view of the target, in the target."""
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
        for tensor in received:
            entry = self._known.get(id(tensor))
            if entry is not None and entry[0]() is tensor:
                known.append((tensor, entry[1]))
        for tensor in outs:
            if not isinstance(tensor, Tensor):
                continue
            answer = rule(Call(args, kwargs, tensor, known, self._n_samples)) if rule is not None and known else None
            place = answer.place if isinstance(answer, Mixed) else answer
            if place is not None:
                self.mark(tensor, place)
            elif not keep:
                # An in-place call (`transpose_`) returns a tensor that may be known.
                self._known.pop(id(tensor), None)
            if known and (place is None or place is not answer):
                self._mix(func, args, known, answer, tensor)
        if func in READERS and known:
            self.mixed.read_by(func, [tensor for tensor, _ in known])
        if self.mixed.marks:
            self.mixed.carry(func, args, received, outs)

    def _mix(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        known: list[tuple[Tensor, Place]],
        answer: Place | Mixed | None,
        out: Tensor,
    ) -> None:
        """Mark the output of a call that brings samples together, or after which their place is unknown."""
        if isinstance(answer, Mixed):
            is_doubt = func in ELEMENTWISE and not all(is_number(tensor) for tensor, _ in known)
            self.mixed.add(out, call_name(func), Certainty.OPEN if is_doubt else answer.certainty)
        elif self.place_of(out) is None and any(reads_values(func, args, tensor) for tensor, _ in known):
            self.mixed.add(out, call_name(func), Certainty.OPEN)

    def weigh(self, x: Tensor, weight: Tensor, out: Tensor, operation: str, *, is_placed: bool) -> None:
        """Mark the output of a call on a weight that brings samples together.

        The weight of a linear call may be made of samples. Where the axis of the samples `is_placed` elsewhere than
        where the call can have samples, it is one that the call sums over, but for groups of channels.
        """
        is_summed = not is_placed and self.place_of(x) is not None
        if is_summed or self.place_of(weight) is not None:
            self.mixed.add(out, operation, Certainty.LIKELY)
        if self.mixed.marks:
            self.mixed.carry(None, (), (x, weight), (out,))

    def mixing_calls(self, outputs: Iterable[Tensor]) -> dict[Certainty, list[str]]:
        """By certainty, the names of the calls that may make a row of these outputs depend on several samples."""
        marks = {(name, Certainty.OPEN) for name, _ in self.mixed.read}
        for tensor in outputs:
            own, place = self.mixed.of([tensor]), self.place_of(tensor)
            marks |= own
            if place is None and not own:
                marks.add(("a call that nobody follows", Certainty.OPEN))
            if isinstance(place, SampleRows) and not place.in_order():
                marks.add(("another order of the rows", Certainty.SURE))
        return {
            certainty: sorted(name for name, found in marks if found is certainty)
            for certainty in {found for _, found in marks}
        }
