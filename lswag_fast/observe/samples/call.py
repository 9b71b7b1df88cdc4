"""A call of torch as the rules of the samples see it, and what a rule may answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, NamedTuple

from torch import Tensor

from lswag_fast.observe.samples.axis import Place, SampleAxis
from lswag_fast.observe.samples.rows import SampleRows


class Certainty(IntEnum):
    """How certain it is that a call makes a sample's part of its output of several samples."""

    OPEN = 0
    """The trail of the samples is lost."""
    LIKELY = 1
    """A product sums over samples, but its other factor or a mask may choose a single one."""
    SURE = 2


class Mixed(NamedTuple):
    """A rule's answer to a call that brings samples together; `place` is where they lie in the output all the same."""

    place: Place | None = None
    certainty: Certainty = Certainty.SURE


class Call(NamedTuple):
    """A call, one of its outputs, and the tensors among its arguments that have a known place, each with it."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    out: Tensor
    known: list[tuple[Tensor, Place]]
    n_samples: int

    def argument(self, position: int, *names: str, default: Any = None) -> Any:
        """The argument at a position, or by one of its names."""
        if len(self.args) > position:
            return self.args[position]
        return next((self.kwargs[name] for name in names if name in self.kwargs), default)

    @property
    def first(self) -> tuple[Tensor, Place | None]:
        """The argument that the call works on, and where its samples lie."""
        tensor = self.argument(0, "input", "self")
        return tensor, self.place_of(tensor)

    def place_of(self, tensor: Any) -> Place | None:
        """Where the samples lie in one of the arguments."""
        for known, place in self.known:
            if known is tensor:
                return place
        return None

    def agreed(self, places: list[Place], certainty: Certainty = Certainty.SURE) -> Place | Mixed | None:
        """The one place of all; None where there is none.

        Places that disagree bring samples together. The samples of the output are then those of the first axis that
        holds any, in the order of the batch; None where two orders are possible.

        Example:
            >>> import torch
            >>> call = Call((), {}, torch.ones(2, 2), [], n_samples=2)
            >>> call.agreed([SampleAxis(1), SampleAxis(1)])
            SampleAxis(axis=1, outer=1, inner=1)
            >>> call.agreed([SampleAxis(1), SampleAxis(0)]).place
            SampleAxis(axis=0, outer=1, inner=1)
        """
        first = places[0] if places else None
        differing = [place for place in places if place is not first]
        if not differing or all(place == first for place in differing) or self._same_rows(places):
            return first
        first_axis = min(place.axis for place in places)
        in_order = {place for place in places if isinstance(place, SampleAxis) and place.axis == first_axis}
        return Mixed(in_order.pop() if len(in_order) == 1 else None, certainty)

    def _same_rows(self, places: list[Place]) -> bool:
        """Whether places that are written in two ways are the same, row by row."""
        if any(place.axis for place in places) or all(isinstance(place, SampleAxis) for place in places):
            return False
        device = next(place.samples.device for place in places if isinstance(place, SampleRows))
        rows = [place.as_rows(self.n_samples, device) if isinstance(place, SampleAxis) else place for place in places]
        return all(one == rows[0] for one in rows)


Rule = Callable[[Call], "Place | Mixed | None"]
"""Says where the samples lie in an output of a call; None where it cannot tell."""


def axes_of(dims: Any, n_axes: int) -> set[int]:
    """The axes that an argument `dim`, a number or several, names.

    Example:
        >>> axes_of(-1, 3), sorted(axes_of((0, -2), 3))
        ({2}, [0, 1])
    """
    return {dim % n_axes for dim in ((dims,) if isinstance(dims, int) else dims)}
