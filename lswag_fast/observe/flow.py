"""Following where the samples lie from one call to the next, so that most ambiguous sizes need no experiment.

The batch has its samples along axis 0, and so has the output of a call whose input is known. Calls that work element
by element, or normalise, keep the place of the samples. In a CNN with as many channels as samples the sizes alone
leave every activation open; this settles all of them at no cost.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.observe.activations import is_activation
from lswag_fast.observe.samples import Places, SampleLayout
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
        self._known: dict[int, tuple[weakref.ref[Tensor], SampleLayout]] = {}

    def mark(self, tensor: Tensor, layout: SampleLayout) -> None:
        """Note where the samples lie in `tensor`."""
        self._known[id(tensor)] = (weakref.ref(tensor), layout)

    def mark_batch(self, inputs: Any, n_samples: int) -> None:
        """Note that the batch's tensors have their samples along axis 0."""
        for tensor in tensors_in(inputs):
            if tensor.dim() and tensor.shape[0] == n_samples:
                self.mark(tensor, SampleLayout(0))

    def layout_of(self, tensor: Tensor) -> SampleLayout | None:
        """Where the samples lie in `tensor`, if that is known."""
        reference, layout = self._known.get(id(tensor), (None, None))
        return layout if reference is not None and reference() is tensor else None

    def places(self, tensor: Tensor, by_size: Places) -> Places:
        """What is known of `tensor`, or else what its sizes allow."""
        layout = self.layout_of(tensor)
        return by_size if layout is None else Places((layout,), certain=True)

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
        layouts = {layout for tensor in same_shape if (layout := self.layout_of(tensor)) is not None}
        if len(layouts) == 1:
            self.mark(out, layouts.pop())
        else:
            self._known.pop(id(out), None)
