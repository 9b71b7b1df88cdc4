"""What a call of torch does to the place of the samples: one rule for each kind of call.

A rule gets the call and where the samples lie in its tensors, and says where they lie in an output. It answers only
what holds for every value of the tensors, and None where it cannot tell: a wrong place would be a wrong score, while an
unknown one costs an experiment.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.observe.samples.axis import Place, SampleAxis
from lswag_fast.observe.samples.rows import SampleRows


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
        return tensor, next((place for known, place in self.known if known is tensor), None)


Rule = Callable[[Call], "Place | None"]


def agreed(places: list[Place]) -> Place | None:
    """The one place of all; None where there is none or they disagree."""
    first = places[0] if places else None
    return first if all(place == first for place in places) else None


def element_by_element(call: Call) -> Place | None:
    """Inputs are broadcast against each other from the last axis; a norm or a softmax leaves its input in place."""
    places: list[Place] = []
    for tensor, place in call.known:
        further = call.out.dim() - tensor.dim()
        if isinstance(place, SampleAxis) and further > 0:
            place = SampleAxis(place.axis + further, place.outer, place.inner)
        if further < 0 or call.out.shape[place.axis] != tensor.shape[place.axis - max(further, 0)]:
            return None
        if isinstance(place, SampleRows) and further:
            return None
        places.append(place)
    return agreed(places)


def leading(call: Call) -> Place | None:
    """Pooling, padding, resizing: axis 0 is not touched."""
    tensor, place = call.first
    return place if place is not None and place.axis == 0 and tensor.shape[:1] == call.out.shape[:1] else None


def converted(call: Call) -> Place | None:
    """Conversions, which further tensors only show how to do; copies along other axes."""
    tensor, place = call.first
    same = place is not None and tensor.dim() == call.out.dim() and _size(tensor, place) == _size(call.out, place)
    return place if same else None


def _size(tensor: Tensor, place: Place) -> int:
    return tensor.shape[place.axis]


def reshaped(call: Call) -> Place | None:
    """The elements stay in their order: what lies before a sample and what it holds are products of sizes."""
    tensor, place = call.first
    if not isinstance(place, SampleAxis):
        return place if tensor.shape[:1] == call.out.shape[:1] else None
    before = math.prod(tensor.shape[: place.axis]) * place.outer
    return _factored(call.out.shape, before, call.n_samples)


def _factored(shape: torch.Size, before: int, n_samples: int) -> SampleAxis | None:
    """The axis of a shape in which the sample is the factor after `before` elements."""
    done = 1
    for axis, size in enumerate(shape):
        if size > 1 and before % done == 0 and (done * size) % (before * n_samples) == 0:
            return SampleAxis(axis, before // done, done * size // (before * n_samples))
        done *= size
    return None


def viewed(call: Call) -> Place | None:
    """A view of the same memory: the axis of the samples is the one with its stride, whatever happened to others."""
    tensor, place = call.first
    if place is None or call.out is tensor:  # in place: its strides before the call are gone
        return None
    out, stride, size = call.out, tensor.stride(place.axis), _size(tensor, place)
    if tensor.untyped_storage().data_ptr() != out.untyped_storage().data_ptr():
        return None
    if sum(s == stride and n > 1 for s, n in zip(tensor.stride(), tensor.shape, strict=True)) != 1:
        return None
    axes = [a for a, (s, n) in enumerate(zip(out.stride(), out.shape, strict=True)) if s == stride and n == size]
    if len(axes) != 1 or (isinstance(place, SampleRows) and axes != [0]):
        return None
    return place if isinstance(place, SampleRows) else SampleAxis(axes[0], place.outer, place.inner)


def indexed(call: Call) -> Place | None:
    """`tensor[index]`: a view, or the rows that a tensor chooses along axis 0."""
    (tensor, place), index = call.first, call.argument(1)
    if place is None:
        return None
    entries = index if isinstance(index, tuple) else (index,)
    advanced = [k for k, entry in enumerate(entries) if isinstance(entry, (Tensor, list))]
    if not advanced:
        return viewed(call)
    if advanced == [0] and isinstance(entries[0], Tensor) and all(_is_whole(entry) for entry in entries[1:]):
        return _rows(tensor, place, entries[0], call.n_samples)
    whole = all(_is_whole(entry) for entry in entries[: advanced[0]])
    kept = len(advanced) == 1 and whole and isinstance(place, SampleAxis) and place.axis < advanced[0]
    return place if kept else None


def _is_whole(entry: Any) -> bool:
    return isinstance(entry, slice) and entry == slice(None)


def selected(call: Call) -> Place | None:
    """`index_select(dim, index)`."""
    (tensor, place), dim, index = call.first, call.argument(1, "dim"), call.argument(2, "index")
    if place is None or not isinstance(dim, int):
        return None
    if dim % tensor.dim() != place.axis:
        return place
    return _rows(tensor, place, index, call.n_samples) if place.axis == 0 else None


def _rows(tensor: Tensor, place: Place, index: Tensor, n_samples: int) -> SampleRows | None:
    """The samples of the rows `tensor[index]`."""
    if place.axis != 0:
        return None
    if index.dtype in (torch.bool, torch.uint8):
        index = index.nonzero()[:, 0]  # a mask may have further axes, which only choose within a row
    elif index.dim() != 1 or index.is_floating_point():
        return None
    rows = place.as_rows(n_samples, index.device) if isinstance(place, SampleAxis) else place
    return rows.chosen(index)


def reduced(call: Call) -> Place | None:
    """A sum, mean or largest value over other axes than that of the samples."""
    tensor, place = call.first
    dims = call.argument(1, "dim", "axis")
    if isinstance(dims, Tensor):  # the larger of two tensors
        return element_by_element(call)
    if place is None or dims is None or isinstance(dims, bool):  # over all; `var(unbiased)`
        return None
    if not isinstance(dims, int) and not dims:  # over all
        return None
    reduced_axes = {dim % tensor.dim() for dim in ((dims,) if isinstance(dims, int) else dims)}
    if place.axis in reduced_axes:
        return None
    kept = call.out.dim() == tensor.dim()
    if isinstance(place, SampleRows) or kept:
        return place
    return SampleAxis(place.axis - sum(axis < place.axis for axis in reduced_axes), place.outer, place.inner)


def along(position: int) -> Rule:
    """Calls that move values along the axes `dim` or `dims` at this position, and leave others alone."""

    def rule(call: Call) -> Place | None:
        place, dims = converted(call), call.argument(position, "dim", "dims")
        if place is None or dims is None:
            return None
        moved = {dim % call.out.dim() for dim in ((dims,) if isinstance(dims, int) else dims)}
        return None if place.axis in moved else place

    return rule


def gathered(dim_at: int, index_at: int) -> Rule:
    """Values that an index chooses along `dim`: whole rows, where that is axis 0 of the samples.

    What the two samples of an experiment show is no help there: an order that the data decide may leave them in place.
    """

    def rule(call: Call) -> Place | None:
        (tensor, place), dim = call.first, call.argument(dim_at, "dim")
        if place is None or not isinstance(dim, int) or dim % tensor.dim() != place.axis:
            return along(dim_at)(call)
        index = call.argument(index_at, "index", "indices").flatten(1)
        is_of_rows = index.numel() > 0 and bool((index == index[:, :1]).all())
        return _rows(tensor, place, index[:, 0], call.n_samples) if is_of_rows else None

    return rule


def flipped(call: Call) -> Place | None:
    """`flip(dims)`, which may put the samples in another order."""
    (tensor, place), dims = call.first, call.argument(1, "dims")
    dims = call.args[1:] if isinstance(dims, int) else dims
    if place is None or dims is None or place.axis not in {dim % tensor.dim() for dim in dims}:
        return place
    numbers = torch.arange(tensor.shape[0], device=tensor.device).flip(0)
    return _rows(tensor, place, numbers, call.n_samples)


def joined(call: Call) -> Place | None:
    """`cat` along another axis than that of the samples."""
    dim = call.argument(1, "dim", "axis", default=0) % call.out.dim()
    places = [place for _, place in call.known]
    place = agreed(places)
    return place if place is not None and place.axis != dim else None


def stacked(call: Call) -> Place | None:
    """`stack`, which makes a new axis."""
    dim = call.argument(1, "dim", default=0) % call.out.dim()
    place = agreed([place for _, place in call.known])
    if not isinstance(place, SampleAxis):
        return None
    return SampleAxis(place.axis + (dim <= place.axis), place.outer, place.inner)


def multiplied(call: Call) -> Place | None:
    """A product of matrices: the batch axes of both, the rows of the left and the columns of the right remain."""
    left, right = call.argument(0, "input", "self"), call.argument(1, "other", "mat2")
    places: list[Place] = []
    for tensor, place in call.known:
        from_end = tensor.dim() - place.axis  # 1 for the last axis
        summed = 1 if tensor is left else 2
        if not isinstance(place, SampleAxis) or min(left.dim(), right.dim()) < 2 or from_end == summed:
            return None
        places.append(SampleAxis(call.out.dim() - from_end, place.outer, place.inner))
    return agreed(places)


def attended(call: Call) -> Place | None:
    """`scaled_dot_product_attention`: all operands share their batch axes."""
    places: list[Place] = [place for tensor, place in call.known if place.axis < tensor.dim() - 2]
    return agreed(places) if len(places) == len(call.known) else None


def looked_up(call: Call) -> Place | None:
    """`embedding`: an axis of features behind those of the indices."""
    return call.first[1]


def summed_over(call: Call) -> Place | None:
    """`einsum("...", a, b)` without an ellipsis: the subscript of the samples, where the output has it."""
    equation, *operands = call.args
    if not isinstance(equation, str) or "..." in equation or "->" not in equation:
        return None
    inputs, out = equation.replace(" ", "").split("->")
    places: list[Place] = []
    for tensor, place in call.known:
        for term, operand in zip(inputs.split(","), operands, strict=False):
            if operand is not tensor:
                continue
            if not isinstance(place, SampleAxis) or term[place.axis] not in out:
                return None
            places.append(SampleAxis(out.index(term[place.axis]), place.outer, place.inner))
    return agreed(places)


def attended_by_heads(call: Call) -> Place | None:
    """`multi_head_attention_forward`: the output (T, N, E) lies as the query (T, N, E) does."""
    tensor = call.argument(0, "query")
    place = next((known for query, known in call.known if query is tensor), None)
    is_output = tensor.shape == call.out.shape
    n_keys = len(call.argument(1, "key"))
    if tensor.dim() == 3 and tensor.shape[0] == tensor.shape[1] and n_keys <= tensor.shape[2] <= n_keys + 2:
        return None  # it may be the shares (N, T, S), S with a key of biases and one of zeros
    return place if is_output and place is not None and place.axis < tensor.dim() - 1 else None


def stepped(call: Call) -> Place | None:
    """A recurrent layer or cell: its hidden states lie as its input does, the last ones (layers, N, H) along axis 1."""
    tensor, place = call.first
    if not isinstance(place, SampleAxis):
        return None
    is_last = call.out.dim() == 3 and tensor.shape[place.axis] == call.out.shape[1]  # (layers, N, H)
    if call.out.shape[:-1] == tensor.shape[:-1]:
        return place if place.axis == 1 or not is_last else None
    return SampleAxis(1, place.outer, place.inner) if is_last else None


RULES: dict[Callable[..., Any], Rule] = {}
"""The functions of torch that a rule knows. Python's own names of a function, such as `Tensor.add`, are separate."""


def _register(rule: Rule, *names: str) -> None:
    for name in names:
        for owner in (torch, Tensor, F, torch.special):
            function = getattr(owner, name, None)
            if function is not None:
                RULES[function] = rule


_register(
    element_by_element,
    "add", "add_", "__add__", "__radd__", "__iadd__", "sub", "sub_", "__sub__", "__rsub__", "__isub__", "rsub",
    "subtract", "mul", "mul_", "__mul__", "__rmul__", "__imul__", "multiply", "div", "div_", "__truediv__",
    "__rtruediv__", "__itruediv__", "divide", "true_divide", "pow", "pow_", "__pow__", "__rpow__", "square", "sqrt",
    "rsqrt", "reciprocal", "exp", "exp_", "log", "log1p", "expm1", "neg", "__neg__", "abs", "abs_", "sign", "sin",
    "cos", "erf", "tanh", "tanh_", "atan", "sigmoid", "sigmoid_", "logsigmoid", "hardsigmoid", "softplus", "softsign",
    "softmax", "log_softmax", "softmin", "gumbel_softmax", "normalize", "clamp", "clamp_", "clip", "minimum", "maximum",
    "addcmul", "addcdiv", "lerp", "where", "masked_fill", "masked_fill_", "batch_norm", "layer_norm", "group_norm",
    "rms_norm", "instance_norm", "local_response_norm", "dropout", "dropout_", "dropout1d", "dropout2d", "dropout3d",
    "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "relu", "relu_", "relu6", "gelu", "silu", "mish",
    "hardswish", "leaky_relu", "leaky_relu_", "elu", "elu_", "selu", "selu_", "celu", "celu_", "prelu", "rrelu",
    "hardtanh", "hardtanh_", "threshold", "clamp_min", "clamp_min_", "clamp_max", "nan_to_num", "fill_", "zero_",
    "copy_", "softshrink", "hardshrink", "tanhshrink", "real", "imag",
)  # fmt: skip
_register(
    leading,
    "max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d",
    "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d",
    "lp_pool1d", "lp_pool2d", "interpolate", "upsample", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "pad",
    "unfold", "fold", "glu", "grid_sample",
)  # fmt: skip
_register(
    converted,
    "to", "type", "type_as", "float", "double", "half", "bfloat16", "int", "long", "bool", "contiguous", "clone",
    "detach", "repeat", "tile", "_grouped_mm",
)  # fmt: skip
_register(reshaped, "reshape", "view", "view_as", "reshape_as", "flatten", "unflatten", "ravel", "squeeze", "unsqueeze")
_register(
    viewed,
    "transpose", "transpose_", "t", "t_", "permute", "swapaxes", "swapdims", "movedim", "moveaxis", "adjoint", "expand",
    "expand_as", "broadcast_to", "chunk", "split", "split_with_sizes", "tensor_split", "unbind", "narrow", "select",
    "unsafe_chunk", "unsafe_split",
)  # fmt: skip
_register(
    reduced,
    "mean", "sum", "amax", "amin", "max", "min", "var", "std", "logsumexp", "prod", "argmax", "any", "all",
    "median",
)  # fmt: skip
_register(joined, "cat", "concat", "concatenate")
_register(stacked, "stack")
_register(along(2), "roll", "topk")
_register(flipped, "flip")
_register(along(1), "cumsum", "cumprod", "sort", "argsort")
_register(gathered(1, 2), "gather")
_register(gathered(2, 1), "take_along_dim")
_register(multiplied, "matmul", "bmm", "mm", "__matmul__")
_register(stepped, "lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
_register(summed_over, "einsum")
_register(attended, "scaled_dot_product_attention")
_register(attended_by_heads, "multi_head_attention_forward")
_register(looked_up, "embedding")
_register(selected, "index_select")
RULES[Tensor.__getitem__] = indexed

_PRODUCTS = (multiplied, summed_over, attended, attended_by_heads, stepped, looked_up)
PLACING = frozenset(function for function, rule in RULES.items() if rule not in _PRODUCTS)
"""Functions that scale, add, choose or move values: a parameter that only they use is a table, no weight matrix."""

for _transposed in ("T", "mT", "H", "mH"):
    RULES[getattr(Tensor, _transposed).__get__] = viewed
