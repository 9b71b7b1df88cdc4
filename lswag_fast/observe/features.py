"""Seeing the features of a forward pass: what calls on weights, norms, activations and attention put out."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast.data.batch import Batch
from lswag_fast.errors import UnsupportedModelError
from lswag_fast.observe.dispatch import CallMode
from lswag_fast.observe.lineage import constants_of
from lswag_fast.observe.operations import BATCH_NORMS, LOOKUP, BoundCall, ObservedOperation, is_activation
from lswag_fast.observe.samples.axis import AxisCandidates, Place, SampleAxis
from lswag_fast.observe.samples.flow import SampleFlow
from lswag_fast.observe.weights import tensors_in

Kind = Literal["weight", "norm", "activation", "hidden", "attention"]

_LAST_NORMS = frozenset((F.layer_norm, torch.layer_norm, F.rms_norm))
_FIRST_NORMS = BATCH_NORMS | {F.group_norm, torch.group_norm, F.instance_norm, torch.instance_norm}
_SOFTMAX = frozenset((F.softmax, torch.softmax, Tensor.softmax))
_IMAGE_DIMS, _ATTENTION_DIMS = 4, 3


@dataclass(frozen=True)
class Feature:
    """The output of one call, which the receiver looks at before the model goes on.

    Attributes:
        kind: "weight" for a linear or convolution call; "norm"; "activation"; "hidden" for the output of a linear call,
            or some of its channels, that an activation takes, just before it does; "attention" for the probabilities of
            attention.
        values: (..., C), a view with the channels last; of attention (..., T, S), how much each of T queries attends to
            each of S keys.
        place: where the samples lie in the values; None where their trail was lost.
        activation: the number of an activation call, of which `FeatureRecorder.counts` may say in the end that it was
            no activation but a part of one; None for the other kinds.
    """

    kind: Kind
    values: Tensor
    place: Place | None = None
    activation: int | None = None


class FeatureRecorder(CallMode):
    """Runs every call as it is, and hands each feature that is made from the batch to a function.

    Example:
        >>> found, images = [], torch.ones(2, 3, 5, 5)
        >>> model, batch = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()), Batch(images, None, 2)
        >>> with FeatureRecorder(model, batch, {"weight"}, lambda f: found.append((f.kind, tuple(f.values.shape)))):
        ...     _ = model(images)
        >>> found
        [('weight', (2, 5, 5, 4))]
    """

    def __init__(
        self, model: nn.Module, batch: Batch, kinds: Collection[Kind], receive: Callable[[Feature], None]
    ) -> None:
        """`receive` gets features of these kinds, unseen by the recorder, and must not keep or write the values."""
        super().__init__(batch.n_samples, constants_of(model))
        self.lineage.add_batch(batch.inputs)
        self.flow = SampleFlow(batch.n_samples)
        self.flow.mark_batch(batch.inputs)
        self._kinds = frozenset(kinds)
        self._receive = receive
        self._layouts: dict[int, tuple[weakref.ref[Tensor], torch.Size, tuple[int, ...]]] = {}
        self._channels: dict[torch.Size, int] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Sort one call; what an activation takes is looked at first, since it may write into it."""
        if args and self._is_hidden(args[0]) and is_activation(func, args, kwargs or {}):
            self._hand("hidden", _gate(*args, **kwargs or {}) if func is F.glu else args[0])
        return super().__torch_function__(func, types, args, kwargs)

    def on_weight_call(
        self,
        index: int,
        operation: ObservedOperation,
        call: BoundCall,
        candidates: AxisCandidates,
        run: Callable[[], Tensor],
    ) -> Tensor:
        """Run the call and look at its output, but of what makes a weight or looks up a table."""
        out = run()
        candidates = self.flow.candidates(call.x, candidates)
        if candidates.certain and (candidates.options[0].axis == 0 or call.geometry is None):
            self.flow.mark(out, candidates.options[0])
        if operation is LOOKUP or self.lineage.comes_from_batch(call.x) is False:
            return out
        axis = -1 if call.geometry is None else -1 - len(call.geometry.kernel_size)
        self._channels[out.shape] = axis
        if call.geometry is None:
            owner = _owner(out)
            self._layouts[id(owner)] = weakref.ref(owner), out.shape, out.stride()
        self._hand("weight", out, axis)
        return out

    def place_of(self, tensor: Tensor) -> Place | None:
        """Where the samples lie in a tensor, where that is known."""
        return self.flow.place_of(tensor)

    def mark(self, tensor: Tensor, place: Place) -> None:
        """Remember where the samples lie in a tensor."""
        self.flow.mark(tensor, place)

    def on_activation(self, index: int, func: Callable[..., Any], out: Tensor) -> None:
        """Look at an activation."""
        self._hand("activation", out, self._channel_axis(out), index)

    def finish(self, outputs: Any) -> None:
        """Say what the model returned, once it has."""
        self.lineage.add_outputs(outputs)

    def counts(self, activation: int) -> bool:
        """Whether an activation call was one, and not the gate of a product that is, as in SiLU or GELU written out."""
        return self.lineage.counts(activation)

    def on_other(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run any other call, and look at the output of a norm."""
        out = func(*args, **kwargs)
        self.flow.follow(func, args, kwargs, tensors_in(args, kwargs), out)
        if args and isinstance(out, Tensor) and isinstance(args[0], Tensor):
            self._carry_channels(args[0], out)
        if func in _LAST_NORMS or func in _FIRST_NORMS:
            axis = -1 if func in _LAST_NORMS else 1
            self._channels.setdefault(out.shape, axis)
            self._hand("norm", out, axis)
        elif "attention" in self._kinds and func is F.scaled_dot_product_attention:
            self._hand("attention", attention_probabilities(*args, **kwargs))
        elif func in _SOFTMAX and self._is_attention(out, *args, **kwargs):
            self._hand("attention", out)
        return out

    def on_composite(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any
    ) -> None:
        """Follow the samples, and ask torch's own attention for its probabilities, which it may not have returned."""
        self.flow.follow(func, args, kwargs, tensors_in(args, kwargs), out, keep=True)
        if "attention" in self._kinds and func is F.multi_head_attention_forward:
            given = signature(func).bind(*args, **kwargs).arguments
            asked = {**given, "training": False, "need_weights": True, "average_attn_weights": False}
            self._hand("attention", func(**asked)[1])

    def _hand(self, kind: Kind, out: Tensor, channels: int = -1, activation: int | None = None) -> None:
        """Hand on a tensor whose channels lie along an axis; a number is no feature."""
        if kind not in self._kinds or not out.dim():
            return
        if torch._C._functorch.peek_interpreter_stack() is not None:
            raise UnsupportedModelError(
                f"features pass: a call ({kind}) inside of a transform of torch.func (vmap, grad) shows no samples; "
                "score the model by another proxy"
            )
        place = self.flow.place_of(out)
        if out.dim() == 1:  # a number for each sample, or one row of channels
            self._receive(Feature(kind, out.unsqueeze(0 if place is None else 1), place, activation))
        else:
            moved = _moved(place, channels % out.dim())
            self._receive(Feature(kind, out.movedim(channels, -1), moved, activation))

    def _is_attention(self, out: Tensor, input: Tensor, dim: int | None = None, *_: Any, **__: Any) -> bool:  # noqa: A002
        """Whether a softmax is over the keys of (..., T, S), and not over what a layer put out, as a router's is."""
        return dim in (-1, out.dim() - 1) and out.dim() >= _ATTENTION_DIMS and not self._is_linear(input)

    def _is_linear(self, value: Any) -> bool:
        """Whether a tensor is what a linear call put out, or a view of it."""
        return isinstance(value, Tensor) and self._layout(value) is not None

    def _is_hidden(self, value: Any) -> bool:
        """Whether a tensor is what a linear call put out, or some channels of it, as of a layer of gate and value.

        Its other axes may be others, as where a call on (B T, C) makes (B, T, C).
        """
        layout = self._layout(value) if isinstance(value, Tensor) and value.dim() else None
        if layout is None:
            return False
        shape, stride = layout
        if value.shape[:-1] == shape[:-1]:
            return bool(value.stride() == stride)
        has_its_rows = value.numel() // max(1, value.shape[-1]) == math.prod(shape[:-1])
        return bool(has_its_rows and value.shape[-1] == shape[-1] and value.stride(-1) == stride[-1])

    def _layout(self, value: Tensor) -> tuple[torch.Size, tuple[int, ...]] | None:
        """The shape and strides of what a linear call put out, of which this is a view."""
        owner = _owner(value)
        if id(owner) not in self._layouts:
            return None
        known, shape, stride = self._layouts[id(owner)]
        return (shape, stride) if known() is owner else None

    def _carry_channels(self, before: Tensor, after: Tensor) -> None:
        """After a call that leaves the number of axes, samples and channels, the channels lie where they did."""
        axis = self._channels.get(before.shape)
        if axis is None or after.dim() != before.dim() or after.shape[0] != before.shape[0]:
            return
        if after.shape[axis] == before.shape[axis]:
            self._channels.setdefault(after.shape, axis)

    def _channel_axis(self, out: Tensor) -> int:
        """By the last call whose output had this shape; of a shape not seen before, images have the channels first.

        But where the samples lie there, as in clips that lead with time.
        """
        place = self.flow.place_of(out)
        is_first = out.dim() >= _IMAGE_DIMS and (place is None or place.axis != 1)
        return self._channels.get(out.shape, 1 if is_first else -1)


def _gate(value: Tensor, dim: int = -1) -> Tensor:
    """The half of what `F.glu` takes that its sigmoid takes."""
    return value.chunk(2, dim)[1]


def _owner(tensor: Tensor) -> Tensor:
    """What a view is one of, or the tensor itself."""
    return tensor if tensor._base is None else tensor._base


def _moved(place: Place | None, channels: int) -> Place | None:
    """Where the samples lie once the axis of the channels has become the last; None where they lie along it."""
    if place is None or place.axis == channels:
        return None
    if isinstance(place, SampleAxis) and place.axis > channels:
        return SampleAxis(place.axis - 1, place.outer, place.inner)
    return place


def attention_probabilities(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """The probabilities (..., T, S) of `F.scaled_dot_product_attention`, before dropout; NaN where no key is allowed.

    Example:
        >>> query = torch.zeros(1, 2, 4)
        >>> attention_probabilities(query, query, query, is_causal=True).tolist()
        [[[1.0, 0.0], [0.5, 0.5]]]
    """
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
    scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return scores.softmax(-1)
