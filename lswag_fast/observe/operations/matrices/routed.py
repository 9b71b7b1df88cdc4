"""Rows that go to one matrix each: `torch._grouped_mm`, which mixtures of experts call.

The rows are sorted by their matrix. Each matrix is a linear call on rows whose samples the router chose, so that the
place of the samples must be known of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.observe.operations.matrices.matrix_products import observe_matmul
from lswag_fast.observe.operations.operation import CallObserver, Composite
from lswag_fast.observe.samples.axis import AxisCandidates, SampleAxis
from lswag_fast.observe.samples.rows import SampleRows

_MATRIX, _MATRICES = 2, 3  # axes


def observe_grouped(observer: CallObserver, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """`torch._grouped_mm(rows (R, I), matrices (G, I, O), offs=ends of the groups (G,))`; an entry of `COMPOSITES`."""
    names = ("input", "mat2", "offs", "bias", "out_dtype")
    given = dict(zip(names, args, strict=False)) | {name: v for name, v in kwargs.items() if v is not None}
    rows, matrices, ends = given["input"], given["mat2"], given.get("offs")
    if given.get("bias") is not None or given.get("out_dtype") is not None or not observer.is_weight(matrices):
        return NotImplemented
    if ends is None:  # a batch of products
        return observe_matmul(observer, (rows, matrices), {})
    if rows.dim() != _MATRIX or matrices.dim() != _MATRICES or rows.shape[1] != matrices.shape[1]:
        return NotImplemented
    return _routed(observer, rows, matrices, ends.tolist())


def _routed(observer: CallObserver, rows: Tensor, matrices: Tensor, ends: list[int]) -> Tensor:
    """Multiply the rows up to each end with one matrix; those behind the last one give zeros."""
    samples = _samples(observer, rows)
    parts, begin = [rows.new_zeros((0, matrices.shape[2]))], 0
    for number, end in enumerate(ends):
        if end > begin:
            candidates = None
            if samples is not None:
                candidates = AxisCandidates((samples.chosen(slice(begin, end)),), certain=True)
            arguments = (rows[begin:end], matrices[number].t(), None)
            parts.append(observer.inner_call(F.linear, arguments, candidates))
        begin = max(begin, end)
    parts.append(rows.new_zeros((len(rows) - begin, matrices.shape[2])))
    return torch.cat(parts)


def _samples(observer: CallObserver, rows: Tensor) -> SampleRows | None:
    """The sample of each row, where that is known."""
    place = observer.place_of(rows)
    if isinstance(place, SampleAxis):
        return place.as_rows(observer.n_samples, rows.device) if place.axis == 0 else None
    return place


GROUPED_PRODUCTS: dict[Callable[..., Any], Composite] = {
    getattr(torch, name): observe_grouped
    for name in ("_grouped_mm",)
    if hasattr(torch, name)  # since torch 2.8
}
"""Products of groups of rows."""
