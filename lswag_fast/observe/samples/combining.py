"""Rules of the calls that bring several entries of an axis together: sums, norms, orders, products, attention.

Along the axis of the samples they make one sample's part of the output of several samples, and the rules say so; along
others they leave the samples where they are.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lswag_fast.observe.samples.axis import Place, SampleAxis
from lswag_fast.observe.samples.call import Call, Certainty, Mixed, Rule, axes_of
from lswag_fast.observe.samples.rows import SampleRows

_PLANES = 2
"""The first axis behind those of samples and channels."""

_LAYER_ARGUMENTS = 9
"""Of `torch.lstm` and its kin, the last one `batch_first`."""


def _input(call: Call) -> tuple[Tensor, Place | None]:
    """What a call works on: mostly the only tensor whose place is known."""
    return call.known[0] if len(call.known) == 1 else call.first


def reduced(position: int = 1, *, default: Any = None) -> Rule:
    """A sum, mean or largest value over axes, the argument at `position`; without it over all, or along `default`."""

    def rule(call: Call) -> Place | Mixed | None:
        tensor, place = _input(call)
        dims = call.argument(position, "dim", "axis", default=default)
        if place is None:
            return None
        if dims is None or isinstance(dims, bool) or (not isinstance(dims, int) and not dims):  # `var(unbiased)`
            return Mixed()
        axes = axes_of(dims, tensor.dim())
        if place.axis in axes:
            return Mixed()
        if isinstance(place, SampleRows) or call.out.dim() == tensor.dim():
            return place
        return SampleAxis(place.axis - sum(axis < place.axis for axis in axes), place.outer, place.inner)

    return rule


def normalised(position: int, *, default: Any = None) -> Rule:
    """Each entry along `dim` becomes a share of all, or a sum of those before; a softmax may leave `dim` to torch."""

    def rule(call: Call) -> Place | Mixed | None:
        tensor, place = _input(call)
        if place is None:
            return None
        dims = call.argument(position, "dim", "dims", default=default)
        if dims is None:
            dims = 0 if tensor.dim() in (0, 1, 3) else 1
        return Mixed(place) if place.axis in axes_of(dims, tensor.dim()) else place

    return rule


def transformed(call: Call) -> Place | Mixed | None:
    """`fftn` and its kin: over the axes `dim`, else over as many of the last ones as there are sizes, or over all."""
    tensor, place = _input(call)
    if place is None:
        return None
    dims, sizes, n_axes = call.argument(2, "dim"), call.argument(1, "s"), tensor.dim()
    axes = range(n_axes - len(sizes or tensor.shape), n_axes) if dims is None else axes_of(dims, n_axes)
    return Mixed(place) if place.axis in axes else place


def layer_normalised(call: Call) -> Place | Mixed | None:
    """`layer_norm`, `rms_norm`: over the last axes."""
    tensor, place = _input(call)
    shape = call.argument(1, "normalized_shape", default=())
    is_inside = place is not None and place.axis >= tensor.dim() - len(shape)
    return Mixed(place) if is_inside else place


def group_normalised(call: Call) -> Place | Mixed | None:
    """`group_norm`: over groups of channels and all planes."""
    tensor, place = _input(call)
    if place is None or place.axis == 0:
        return place
    in_group = tensor.shape[1] // call.argument(1, "num_groups")
    is_apart = place.axis == 1 and isinstance(place, SampleAxis) and place.inner % in_group == 0
    return place if is_apart else Mixed(place)


def instance_normalised(call: Call) -> Place | Mixed | None:
    """`instance_norm`: over the planes of a channel."""
    _, place = _input(call)
    return Mixed(place) if place is not None and place.axis >= _PLANES else place


def channels_normalised(call: Call) -> Place | Mixed | None:
    """`local_response_norm`: over neighbouring channels."""
    _, place = _input(call)
    return Mixed(place) if place is not None and place.axis == 1 else place


def ordered(position: int) -> Rule:
    """Calls that put the values along `dim`, or else along the last axis, in an order that the values decide."""

    def rule(call: Call) -> Place | Mixed | None:
        tensor, place = call.first
        if place is None:
            return None
        dim = call.argument(position, "dim", default=-1)
        return Mixed() if place.axis in axes_of(dim, tensor.dim()) else place

    return rule


def compared(call: Call) -> Place | Mixed | None:
    """A loss of outputs and targets: of each sample, or reduced to one of all."""
    tensor, place = _input(call)
    if call.out.dim() == 0:
        return Mixed()
    is_kept = place is not None and place.axis == 0 and call.out.shape[0] == tensor.shape[0]
    return place if is_kept else None


def gathered(dim_at: int, index_at: int) -> Rule:
    """Values that an index chooses along `dim`: whole rows, where that is axis 0 of the samples.

    From values that come from no sample, each sample chooses by its part of the index.
    What an experiment shows is no help there: an order that the data decide may leave them in place.
    """

    def rule(call: Call) -> Place | Mixed | None:
        (tensor, place), dim = call.first, call.argument(dim_at, "dim")
        index = call.argument(index_at, "index", "indices")
        if place is None:
            return call.place_of(index) if call.out.shape == index.shape else None
        if not isinstance(dim, int):
            return None
        if dim % tensor.dim() != place.axis:
            is_whole = tensor.dim() == call.out.dim() and tensor.shape[place.axis] == call.out.shape[place.axis]
            return place if is_whole else None
        if place.axis != 0 or index.numel() == 0:
            return None
        rows = place.as_rows(call.n_samples, index.device) if isinstance(place, SampleAxis) else place
        first = rows.chosen(index.flatten(1)[:, 0])
        owners = rows.samples[index.flatten(1)]
        return first if bool((owners == first.samples[:, None]).all()) else Mixed()

    return rule


def chosen_rows(tensor: Tensor, place: Place, index: Tensor, n_samples: int) -> SampleRows | None:
    """The samples of the rows `tensor[index]`."""
    if place.axis != 0:
        return None
    if index.dtype in (torch.bool, torch.uint8):
        index = index.nonzero()[:, 0]  # a mask may have further axes, which only choose within a row
    elif index.dim() != 1 or index.is_floating_point():
        return None
    rows = place.as_rows(n_samples, index.device) if isinstance(place, SampleAxis) else place
    return rows.chosen(index)


def flipped(call: Call) -> Place | Mixed | None:
    """`flip(dims)`, which may put the samples in another order."""
    (tensor, place), dims = call.first, call.argument(1, "dims")
    dims = call.args[1:] if isinstance(dims, int) else dims
    if place is None or dims is None or place.axis not in axes_of(dims, tensor.dim()):
        return place
    numbers = torch.arange(tensor.shape[0], device=tensor.device).flip(0)
    return chosen_rows(tensor, place, numbers, call.n_samples) or Mixed()


def rolled(call: Call) -> Place | Mixed | None:
    """`roll(shifts, dims)`, which may put the samples in another order; without `dims` it moves all elements."""
    (tensor, place), shifts, dims = call.first, call.argument(1, "shifts"), call.argument(2, "dims")
    if place is None:
        return None
    if dims is None or (not isinstance(dims, int) and not dims):
        return Mixed()
    dims, shifts = ((value,) if isinstance(value, int) else value for value in (dims, shifts))
    if place.axis not in axes_of(dims, tensor.dim()):
        return place
    shift = sum(n for n, dim in zip(shifts, dims, strict=True) if dim % tensor.dim() == 0)
    numbers = torch.arange(tensor.shape[0], device=tensor.device).roll(shift)
    return chosen_rows(tensor, place, numbers, call.n_samples) or Mixed()


def multiplied(call: Call) -> Place | Mixed | None:
    """A product of matrices: the batch axes of both, the rows of the left and the columns of the right remain."""
    left, right = call.argument(0, "input", "self"), call.argument(1, "other", "mat2")
    remaining: list[Place] = []
    is_summed = False
    for tensor, place in call.known:
        from_end = tensor.dim() - place.axis  # 1 for the last axis
        if from_end == (1 if tensor is left else 2):
            is_summed = True
        elif not isinstance(place, SampleAxis) or min(left.dim(), right.dim()) < 2:
            return None
        else:
            remaining.append(SampleAxis(call.out.dim() - from_end, place.outer, place.inner))
    found = call.agreed(remaining, Certainty.LIKELY)
    return Mixed(found.place if isinstance(found, Mixed) else found, Certainty.LIKELY) if is_summed else found


def summed_over(call: Call) -> Place | Mixed | None:
    """`einsum("...", a, b)` without an ellipsis: the subscript of the samples, where the output has it."""
    equation, *operands = call.args
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = list(operands[0])
    if not isinstance(equation, str) or "..." in equation or "->" not in equation:
        return None
    inputs, out = equation.replace(" ", "").split("->")
    places: list[Place] = []
    for tensor, place in call.known:
        for term, operand in zip(inputs.split(","), operands, strict=False):
            if operand is not tensor:
                continue
            if term[place.axis] not in out:
                return Mixed(certainty=Certainty.LIKELY)
            if not isinstance(place, SampleAxis):
                return None
            places.append(SampleAxis(out.index(term[place.axis]), place.outer, place.inner))
    return call.agreed(places, Certainty.LIKELY)


def attended(call: Call) -> Place | Mixed | None:
    """`scaled_dot_product_attention`: all operands share their batch axes, and keys and values are summed over."""
    key, value = call.argument(1, "key"), call.argument(2, "value")
    for tensor, place in call.known:
        from_end = tensor.dim() - place.axis
        if from_end == 1:
            return None
        if from_end == 2 and (tensor is key or tensor is value):
            return Mixed(call.place_of(call.argument(0, "query")), Certainty.LIKELY)
    return call.agreed([place for _, place in call.known], Certainty.LIKELY)


def attended_by_heads(call: Call) -> Place | Mixed | None:
    """`multi_head_attention_forward`: the output (T, N, E) lies as the query (T, N, E) does; keys are summed over."""
    tensor, key, value = (call.argument(k, name) for k, name in enumerate(("query", "key", "value")))
    place = call.place_of(tensor)
    is_output = tensor.shape == call.out.shape
    is_square = tensor.dim() == 3 and tensor.shape[0] == tensor.shape[1]
    if is_square and call.kwargs.get("need_weights", True) and len(key) <= tensor.shape[2] <= len(key) + 2:
        is_output = False  # it may be the shares (N, T, S), S with a key of biases and one of zeros
    place = place if is_output and place is not None and place.axis < tensor.dim() - 1 else None
    across = [known.axis == 0 for known in (call.place_of(key), call.place_of(value)) if known is not None]
    return Mixed(place, Certainty.LIKELY) if any(across) else place


def stepped(call: Call) -> Place | Mixed | None:
    """A recurrent layer or cell: its hidden states lie as its input does, the last ones (layers, N, H) along axis 1."""
    tensor, place = call.first
    if not isinstance(place, SampleAxis):
        return None
    is_last = call.out.dim() == 3 and tensor.shape[place.axis] == call.out.shape[1]  # (layers, N, H)
    if call.out.shape[:-1] == tensor.shape[:-1]:
        found = place if place.axis == 1 or not is_last else None
    else:
        found = SampleAxis(1, place.outer, place.inner) if is_last else None
    is_layer = len(call.args) == _LAYER_ARGUMENTS and isinstance(call.args[3], bool)  # not packed, and no cell
    return Mixed(found) if is_layer and place.axis == int(call.args[-1]) else found
