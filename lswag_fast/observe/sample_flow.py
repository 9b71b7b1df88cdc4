"""Following where the samples lie from one call to the next, so that most ambiguous sizes need no experiment.

The batch has its samples along axis 0, and so has the output of a call whose input is known. Calls that work element
by element, or normalise, keep the place of the samples. In a CNN with as many channels as samples the sizes alone
leave every activation open; this resolves all of them at no cost.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.observe.operations import is_activation
from lswag_fast.observe.sample_axis import AxisCandidates, SampleAxis
from lswag_fast.observe.weights import tensors_in

_KEEPING = frozenset(
    (
        torch.add, Tensor.add, Tensor.add_, Tensor.__add__, Tensor.__radd__, Tensor.__iadd__,
        torch.sub, Tensor.sub, Tensor.sub_, Tensor.__sub__, Tensor.__isub__,
        torch.mul, Tensor.mul, Tensor.mul_, Tensor.__mul__, Tensor.__rmul__, Tensor.__imul__,
        F.batch_norm, torch.batch_norm, F.layer_norm, F.group_norm, F.dropout, F.dropout2d,
        torch.sigmoid, Tensor.sigmoid, Tensor.contiguous, Tensor.clone,
    )
)  # fmt: skip
"""Functions whose output has its samples where an input of the same shape has them."""


class SampleFlow:
    """The tensors of a forward pass in which the place of the samples is known."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Tensor], SampleAxis]] = {}

    def mark(self, tensor: Tensor, sample_axis: SampleAxis) -> None:
        """Remember where the samples lie in `tensor`."""
        self._known[id(tensor)] = (weakref.ref(tensor), sample_axis)

    def mark_batch(self, inputs: Any, n_samples: int) -> None:
        """Remember that the batch's tensors have their samples along axis 0."""
        for tensor in tensors_in(inputs):
            if tensor.dim() and tensor.shape[0] == n_samples:
                self.mark(tensor, SampleAxis(0))

    def axis_of(self, tensor: Tensor) -> SampleAxis | None:
        """Where the samples lie in `tensor`, if that is known."""
        reference, sample_axis = self._known.get(id(tensor), (None, None))
        return sample_axis if reference is not None and reference() is tensor else None

    def candidates(self, tensor: Tensor, by_size: AxisCandidates) -> AxisCandidates:
        """What is known of `tensor`, or else what its sizes allow."""
        sample_axis = self.axis_of(tensor)
        return by_size if sample_axis is None else AxisCandidates((sample_axis,), certain=True)

    def follow(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        received: list[Tensor],
        out: Any,
    ) -> None:
        """Carry the place of the samples through a call that keeps it; inputs that disagree leave it open.

        `received` are the tensors among the arguments.
        """
        if not isinstance(out, Tensor):
            return
        if not (func in _KEEPING or is_activation(func, args, kwargs)):
            self._known.pop(id(out), None)  # an in-place call (`transpose_`) returns a tensor that may be known
            return
        same_shape = (tensor for tensor in received if tensor.shape == out.shape)
        sample_axes = {sample_axis for tensor in same_shape if (sample_axis := self.axis_of(tensor)) is not None}
        if len(sample_axes) == 1:
            self.mark(out, sample_axes.pop())
        else:
            self._known.pop(id(out), None)
