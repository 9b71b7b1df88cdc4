"""What a call of torch does to the place of the samples: one rule for each kind of call.

A rule gets the call and where the samples lie in its tensors, and says where they lie in an output. It answers only
what holds for every value of the tensors, and None where it cannot tell: a wrong place would be a wrong score, while an
unknown one costs an experiment.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.observe.samples.axis import Place, SampleAxis
from lswag_fast.observe.samples.call import Call, Certainty, Mixed, Rule
from lswag_fast.observe.samples.combining import (
    attended,
    attended_by_heads,
    channels_normalised,
    chosen_rows,
    compared,
    flipped,
    gathered,
    group_normalised,
    instance_normalised,
    layer_normalised,
    multiplied,
    normalised,
    ordered,
    reduced,
    rolled,
    stepped,
    summed_over,
    transformed,
)
from lswag_fast.observe.samples.rows import SampleRows


def element_by_element(call: Call) -> Place | Mixed | None:
    """Inputs are broadcast against each other from the last axis; a norm or a softmax leaves its input in place."""
    places: list[Place] = []
    shape = call.out.shape
    for tensor, place in call.known:
        further = len(shape) - tensor.dim()
        if isinstance(place, SampleAxis) and further > 0:
            place = SampleAxis(place.axis + further, place.outer, place.inner)
        if further < 0 or shape[place.axis] != tensor.shape[place.axis - further]:
            return None
        if isinstance(place, SampleRows) and further:
            return None
        places.append(place)
    return call.agreed(places)


def overwritten(call: Call) -> Place | Mixed | None:
    """`copy_`: what the first tensor held is gone."""
    source = call.argument(1, "src")
    return element_by_element(call._replace(known=[pair for pair in call.known if pair[0] is source]))


def larger(call: Call) -> Place | Mixed | None:
    """`max` and `min`, along axes or of two tensors."""
    return element_by_element(call) if isinstance(call.argument(1, "other"), Tensor) else _REDUCED(call)


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
    entries = _axis_by_axis(index if isinstance(index, tuple) else (index,), tensor.dim())
    advanced = [k for k, entry in enumerate(entries) if isinstance(entry, (Tensor, list))]
    if not advanced:
        return viewed(call)
    if advanced == [0] and isinstance(entries[0], Tensor) and all(_is_whole(entry) for entry in entries[1:]):
        return chosen_rows(tensor, place, entries[0], call.n_samples)
    whole = all(_is_whole(entry) for entry in entries[: advanced[0]])
    kept = len(advanced) == 1 and whole and isinstance(place, SampleAxis) and place.axis < advanced[0]
    return place if kept else None


def _axis_by_axis(entries: tuple[Any, ...], n_axes: int) -> tuple[Any, ...]:
    """The entries of an index with slices in the place of its dots; as they are where a mask may take several axes."""
    dots = [place for place, entry in enumerate(entries) if entry is Ellipsis]
    if not dots or any(isinstance(entry, Tensor) and entry.dtype in (torch.bool, torch.uint8) for entry in entries):
        return entries
    n_left = n_axes - sum(entry is not None for entry in entries) + 1
    return (*entries[: dots[0]], *[slice(None)] * n_left, *entries[dots[0] + 1 :])


def _is_whole(entry: Any) -> bool:
    return isinstance(entry, slice) and entry == slice(None)


def interleaved(call: Call) -> Place | None:
    """`repeat_interleave(repeats, dim)`: each entry several times, one after the other."""
    (tensor, place), repeats, dim = call.first, call.argument(1, "repeats"), call.argument(2, "dim")
    if place is None or not isinstance(dim, int):
        return None
    if dim % tensor.dim() != place.axis:
        return place
    if not isinstance(place, SampleAxis) or not isinstance(repeats, int):
        return None
    return SampleAxis(place.axis, place.outer, place.inner * repeats)


def product_added(call: Call) -> Place | Mixed | None:
    """`baddbmm(input, batch1, batch2)`: a product of matrices is added to a tensor."""
    added, factors = call.argument(0, "input", "self"), (call.argument(1, "batch1"), call.argument(2, "batch2"))
    of_factors = [pair for pair in call.known if pair[0] is not added]
    of_added = [pair for pair in call.known if pair[0] is added]
    product = multiplied(call._replace(args=factors, kwargs={}, known=of_factors)) if of_factors else None
    if not of_added:
        return product
    place = element_by_element(call._replace(known=of_added))
    if not of_factors:
        return place
    if not isinstance(place, SampleAxis) or not isinstance(product, SampleAxis):
        return None
    return call.agreed([place, product], Certainty.LIKELY)


def selected(call: Call) -> Place | None:
    """`index_select(dim, index)`."""
    (tensor, place), dim, index = call.first, call.argument(1, "dim"), call.argument(2, "index")
    if place is None or not isinstance(dim, int):
        return None
    if dim % tensor.dim() != place.axis:
        return place
    return chosen_rows(tensor, place, index, call.n_samples) if place.axis == 0 else None


def joined(call: Call) -> Place | None:
    """`cat` along another axis than that of the samples."""
    dim = call.argument(1, "dim", "axis", default=0) % call.out.dim()
    places = [place for _, place in call.known]
    place = call.agreed(places)
    return place if place is not None and not isinstance(place, Mixed) and place.axis != dim else None


def stacked(call: Call) -> Place | None:
    """`stack`, which makes a new axis."""
    dim = call.argument(1, "dim", default=0) % call.out.dim()
    place = call.agreed([place for _, place in call.known])
    if not isinstance(place, SampleAxis):
        return None
    return SampleAxis(place.axis + (dim <= place.axis), place.outer, place.inner)


def looked_up(call: Call) -> Place | None:
    """`embedding`: an axis of features behind those of the indices."""
    return call.first[1]


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
    "add", "add_", "__add__", "__radd__", "__iadd__", "sub", "__sub__", "__rsub__", "__isub__", "rsub", "subtract",
    "mul", "mul_", "__mul__", "__rmul__", "__imul__", "multiply", "div", "div_", "__truediv__", "__rtruediv__",
    "__itruediv__", "divide", "true_divide", "pow", "pow_", "__pow__", "__rpow__", "square", "sqrt", "rsqrt",
    "reciprocal", "exp", "exp_", "log", "log1p", "expm1", "neg", "__neg__", "abs", "sign", "sin", "cos", "erf", "tanh",
    "tanh_", "atan", "sigmoid", "sigmoid_", "logsigmoid", "hardsigmoid", "softplus", "softsign", "clamp", "clamp_",
    "clip", "minimum", "maximum", "addcmul", "addcdiv", "lerp", "where", "masked_fill", "masked_fill_", "batch_norm",
    "dropout", "dropout_", "dropout1d", "dropout2d", "dropout3d", "feature_dropout", "alpha_dropout",
    "feature_alpha_dropout", "relu", "relu_", "relu6", "gelu", "silu", "mish", "hardswish", "leaky_relu", "leaky_relu_",
    "elu", "elu_", "selu", "selu_", "celu", "celu_", "prelu", "rrelu", "hardtanh", "hardtanh_", "threshold",
    "clamp_min", "clamp_min_", "clamp_max", "nan_to_num", "fill_", "zero_", "softshrink", "hardshrink", "tanhshrink",
    "real", "imag", "fake_quantize_per_tensor_affine", "fake_quantize_per_channel_affine",
    "fused_moving_avg_obs_fake_quant",
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
    "to", "type", "type_as", "cpu", "cuda", "float", "double", "half", "bfloat16", "int", "long", "bool", "contiguous",
    "clone", "detach", "repeat", "tile", "_grouped_mm",
)  # fmt: skip
_register(reshaped, "reshape", "view", "view_as", "reshape_as", "flatten", "unflatten", "ravel", "squeeze", "unsqueeze")
_register(
    viewed,
    "transpose", "transpose_", "t", "t_", "permute", "swapaxes", "swapdims", "movedim", "moveaxis", "adjoint", "expand",
    "expand_as", "broadcast_to", "chunk", "split", "split_with_sizes", "tensor_split", "unbind", "narrow", "select",
    "unsafe_chunk", "unsafe_split",
)  # fmt: skip
_REDUCED = reduced()
_register(
    _REDUCED,
    "mean", "sum", "amax", "amin", "var", "std", "logsumexp", "prod", "argmax", "any", "all", "median",
)  # fmt: skip
_register(larger, "max", "min")
_register(overwritten, "copy_")
_register(normalised(1), "softmax", "log_softmax", "softmin")
_register(normalised(1), "cumsum", "cumprod")
_register(normalised(2, default=1), "normalize")
_register(normalised(4, default=-1), "gumbel_softmax")
_register(layer_normalised, "layer_norm", "rms_norm")
_register(group_normalised, "group_norm")
_register(instance_normalised, "instance_norm")
_register(channels_normalised, "local_response_norm")
_register(joined, "cat", "concat", "concatenate")
_register(stacked, "stack")
_register(rolled, "roll")
_register(ordered(2), "topk")
_register(flipped, "flip")
_register(ordered(1), "sort", "argsort")
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

SCALING = frozenset(f for f, rule in RULES.items() if rule in (element_by_element, reshaped, viewed, converted))
"""Functions that scale values or show them in another shape: what they make of a weight matrix is one."""

CHOOSING = frozenset(
    (Tensor.__getitem__, torch.index_select, Tensor.index_select, torch.gather, Tensor.gather, torch.take_along_dim,
     Tensor.take_along_dim, torch.take, Tensor.take, F.embedding, torch.embedding, F.embedding_bag)
)  # fmt: skip
"""Functions that choose values by numbers or by a mask."""

# A parameter that only the calls above use is a table. Those that follow use it otherwise.
_register(
    element_by_element,
    "floor", "ceil", "round", "trunc", "frac", "remainder", "fmod", "sinh", "cosh", "tan", "log2", "log10", "exp2",
    "logaddexp", "sub_", "neg_", "addcmul_", "addcdiv_", "clip_", "sqrt_", "square_", "abs_", "rsqrt_", "reciprocal_",
    "log_", "lerp_", "round_", "clamp_max_",
)  # fmt: skip
_register(
    element_by_element,
    "eq", "__eq__", "ne", "__ne__", "not_equal", "lt", "__lt__", "less", "le", "__le__", "less_equal", "gt", "__gt__",
    "greater", "ge", "__ge__", "greater_equal", "logical_and", "logical_or", "logical_not", "logical_xor",
    "bitwise_and", "__and__", "__iand__", "__rand__", "bitwise_or", "__or__", "__ior__", "__ror__", "bitwise_not",
    "__invert__", "__xor__", "isnan", "isinf", "isfinite", "floor_divide", "__floordiv__", "__mod__", "bucketize",
    "heaviside",
)  # fmt: skip
_register(looked_up, "one_hot")
_register(interleaved, "repeat_interleave")
_register(product_added, "baddbmm")
_register(reduced(), "count_nonzero")
_register(reduced(), "nanmean", "nansum", "nanmedian", "var_mean", "std_mean", "aminmax")
_register(
    compared,
    "cross_entropy", "nll_loss", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "kl_div", "soft_margin_loss", "multi_margin_loss", "gaussian_nll_loss",
    "poisson_nll_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss",
)  # fmt: skip
_register(reduced(2), "norm", "quantile", "nanquantile")
RULES[torch.linalg.vector_norm] = RULES[torch.linalg.norm] = reduced(2)
_register(normalised(1, default=-1), "cummax", "cummin", "logcumsumexp")
for _transform in (torch.fft.fft, torch.fft.ifft, torch.fft.rfft, torch.fft.irfft):
    RULES[_transform] = normalised(2, default=-1)
for _transform in (torch.fft.fft2, torch.fft.ifft2, torch.fft.rfft2, torch.fft.irfft2):
    RULES[_transform] = normalised(2, default=(-2, -1))
for _transform in (torch.fft.fftn, torch.fft.ifftn, torch.fft.rfftn, torch.fft.irfftn):
    RULES[_transform] = transformed

RULES[Tensor.real.__get__] = RULES[Tensor.imag.__get__] = element_by_element  # type: ignore[attr-defined]

ELEMENTWISE = frozenset(function for function, rule in RULES.items() if rule is element_by_element)
"""Functions of each element of their tensors."""

_OF_FIRST = (torch.argsort, torch.sort, torch.cumsum, torch.sum, torch.reshape, torch.transpose, Tensor.to)
ARITHMETIC = frozenset(f for f, rule in RULES.items() if rule in [RULES[function] for function in _OF_FIRST])
"""Functions that make numbers of the numbers in their first tensor; further tensors may be sizes and dtypes."""

for _transposed in ("T", "mT", "H", "mH"):
    RULES[getattr(Tensor, _transposed).__get__] = viewed
RULES[Tensor.data.__get__] = converted  # type: ignore[attr-defined]
