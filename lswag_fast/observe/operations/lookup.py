"""Look-ups of rows: `F.embedding`, and `F.embedding_bag` of rows of indices.

The gradient of a sample is zero but in the rows that it looked up, where it is the sum of the gradients of its
positions there. So the statistics are taken over the rows that some sample of the batch looks up; elements of the
others have a gradient of zero in every sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.kernels import ConvGeometry
from lswag_fast.observe.operations.operation import (
    BoundCall,
    CallObserver,
    Composite,
    Gradients,
    ObservedOperation,
    Wants,
)
from lswag_fast.observe.samples.axis import AxisCandidates, candidates_by_size


def lookup(indices: Tensor, weight: Tensor) -> Tensor:
    """The rows of weight (V, E) with these numbers (...) -> (..., E).

    Example:
        >>> lookup(torch.tensor([[1, 0]]), torch.tensor([[1.0, 2.0], [3.0, 4.0]])).tolist()
        [[[3.0, 4.0], [1.0, 2.0]]]
    """
    return F.embedding(indices, weight)


def bind(indices: Tensor, weight: Tensor) -> BoundCall:
    """Take the arguments as `lookup` does."""
    return BoundCall(indices, weight, None)


def sample_axes(indices: Tensor, n_samples: int) -> AxisCandidates:
    """Every axis of the indices; never for certain, since the numbers of positions have an axis of their own size."""
    found = candidates_by_size(indices.shape, n_samples, range(indices.dim()))
    return AxisCandidates(found.options, certain=False)


def forward(call: BoundCall) -> Tensor:
    """Look the rows up, (..., E)."""
    return lookup(call.x, call.weight)


def gradients(call: BoundCall, grad_out: Tensor, wants: Wants) -> Gradients:
    """Compute that of the weight, if it is asked for."""
    if not wants[1]:
        return None, None, None
    return None, torch.ops.aten.embedding_dense_backward(grad_out, call.x, len(call.weight), -1, False), None


def macs(call: BoundCall, shape: torch.Size) -> int:
    """None: nothing is multiplied."""
    return 0


def weight_operands(indices: Tensor, grad_out: Tensor, geometry: ConvGeometry | None) -> tuple[Tensor, Tensor]:
    """What each position says, (B, ..., E), and to which row, (B, ...)."""
    return grad_out, indices


def one_hot(indices: Tensor, dtype: torch.dtype, n_rows: int, rows: Tensor | None = None) -> Tensor:
    """Row numbers (...) as vectors (..., V): 1 at the row, 0 elsewhere; of `rows` only, all of them in order.

    Example:
        >>> one_hot(torch.tensor([7, 2]), torch.float32, 9, torch.tensor([2, 5, 7])).tolist()
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    places = indices if rows is None else torch.searchsorted(rows, indices.contiguous())  # torch warns of others
    vectors = torch.zeros((*indices.shape, n_rows if rows is None else len(rows)), dtype=dtype, device=indices.device)
    return vectors.scatter_(-1, places.long()[..., None], 1)


def observe_embedding(observer: CallObserver, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """`F.embedding`; an entry of `COMPOSITES`.

    Declines a largest norm, for which the call changes the weight, and gradients scaled by how often a row occurs in
    the batch, which are none of single samples.
    """
    names = ("input", "weight", "padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse")
    given = dict(zip(names, args, strict=False)) | dict(kwargs)
    if given.get("max_norm") is not None or given.get("scale_grad_by_freq"):
        return NotImplemented
    return _looked_up(observer, given["input"], given["weight"], given.get("padding_idx"))


def observe_raw_embedding(observer: CallObserver, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """`torch.embedding`, whose arguments have another order; an entry of `COMPOSITES`."""
    names = ("weight", "indices", "padding_idx", "scale_grad_by_freq", "sparse")
    given = dict(zip(names, args, strict=False)) | dict(kwargs)
    if given.get("scale_grad_by_freq"):
        return NotImplemented
    padding = given.get("padding_idx", -1)
    return _looked_up(observer, given["indices"], given["weight"], None if padding == -1 else padding)


def observe_embedding_bag(observer: CallObserver, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """`F.embedding_bag` of bags of one size, (N, T), summed or averaged; an entry of `COMPOSITES`."""
    names = ("input", "weight", "offsets", "max_norm", "norm_type", "scale_grad_by_freq", "mode", "sparse",
             "per_sample_weights", "include_last_offset", "padding_idx")  # fmt: skip
    given = dict(zip(names, args, strict=False)) | dict(kwargs)
    indices, mode, weights = given["input"], given.get("mode", "mean"), given.get("per_sample_weights")
    if any(given.get(name) is not None for name in ("offsets", "max_norm", "padding_idx")):  # each may be 0
        return NotImplemented
    if given.get("scale_grad_by_freq") or indices.dim() != 2 or mode not in ("sum", "mean"):
        return NotImplemented
    rows = _looked_up(observer, indices, given["weight"], None)
    rows = rows if weights is None else rows * weights[..., None]
    return rows.sum(1) if mode == "sum" else rows.mean(1)


def _looked_up(observer: CallObserver, indices: Tensor, weight: Tensor, padding: int | None) -> Tensor:
    rows = observer.inner_call(lookup, (indices, weight))
    if padding is None:
        return rows
    is_padding = indices == (padding if padding >= 0 else padding + len(weight))
    return torch.where(is_padding[..., None], rows.detach(), rows)  # which gives that row no gradient


LOOKUP = ObservedOperation(
    kind="embedding",
    functions=(lookup,),
    bind=bind,
    sample_axes=sample_axes,
    forward=forward,
    gradients=gradients,
    macs=macs,
    weight_operands=weight_operands,
)

EMBEDDINGS: dict[Callable[..., Any], Composite] = {
    F.embedding: observe_embedding,
    torch.embedding: observe_raw_embedding,
    F.embedding_bag: observe_embedding_bag,
}
"""The look-ups of torch."""
