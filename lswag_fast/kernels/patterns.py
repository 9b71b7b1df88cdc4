"""Activation patterns: packing signs into bits, counting distinct patterns, comparing samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from lswag_fast.errors import InputError
from lswag_fast.kernels import device
from lswag_fast.kernels.binary import MAX_DIMS, core, native, view

WORD_BITS = 64
"""Bits per pattern word."""

PatternLayout = Literal["neuron", "sample"]

_LAYOUT_NAMES = {"neuron": "neuron_major", "sample": "sample_major"}


def pack_signs(y: Tensor, n_samples: int, layout: PatternLayout = "neuron") -> Tensor:
    """Pack the signs of an activation into bits: 1 where y > 0, 0 where it is not (NaN and -0.0 are not).

    y is (S_all, ...) with any strides, float32, float64, bfloat16 or float16; the first `n_samples` = S of axis 0 are
    packed. V is the product of the other axes; neurons are numbered in their row-major order whatever the strides are.
    Returns int64 words of 64 bits, unused high bits zero:
    "neuron" gives (V, ceil(S/64)), sample s in bit s % 64 of word s // 64: one pattern a row, as in Definition 1 of
    L-SWAG, for `count_distinct`;
    "sample" gives (S, ceil(V/64)), neuron v in bit v % 64 of word v // 64: one code per row, for NWOT.
    Subnormal numbers are positive also when the process flushes them (`torch.set_flush_denormal`).

    Raises InputError for another dtype or layout name or an `n_samples` outside 1..S_all, BackendUnavailableError for
    a device that the build has no kernels for.
    """
    if layout not in _LAYOUT_NAMES:
        raise InputError(f"layout is {layout!r}; it must be one of {', '.join(_LAYOUT_NAMES)}")
    if y.ndim < 1 or not 1 <= n_samples <= y.shape[0]:
        raise InputError(f"n_samples is {n_samples}, but y has shape {tuple(y.shape)}: take 1 up to the size of axis 0")
    if y.ndim > MAX_DIMS:
        y = y.flatten(1)  # under the same name, since the view only borrows the memory
    stream = device.stream_of({"y": y})
    n_neurons = math.prod(y.shape[1:])
    rows, bits = (n_neurons, n_samples) if layout == "neuron" else (n_samples, n_neurons)
    out = torch.empty((rows, -(-bits // WORD_BITS)), dtype=torch.int64, device=y.device)
    arguments = (view(y, "y"), n_samples, getattr(core.Layout, _LAYOUT_NAMES[layout]), out.data_ptr())
    with native():
        if stream is None:
            core.pack_signs(*arguments, torch.get_num_threads())
        else:
            core.cuda_pack_signs(*arguments, stream)
    return out


def _words(words: Tensor, name: str) -> Tensor:
    if words.dtype != torch.int64 or words.ndim != 2 or words.device.type not in ("cpu", "cuda"):
        raise InputError(
            f"{name} is {words.dtype} of shape {tuple(words.shape)} on {words.device}; it must be int64 with two axes "
            "on the CPU or a CUDA device, as pack_signs gives"
        )
    return words.contiguous()


def count_distinct(words: Tensor | Sequence[Tensor], n_bits: int) -> int:
    """Count the distinct rows of packed words, exactly: the cardinality of a set of patterns (L-SWAG, Eq. 8).

    `words` is (V, W) int64, or several such with one W: then the count is that of the union of their rows. Only the low
    `n_bits` bits of a row count, so patterns of S samples can be read as patterns of fewer. No rows count 0.

    On a CUDA device this waits for the result.

    Raises InputError if the arrays differ in W, or are not int64 of two axes, or `n_bits` is outside 1..64 W.
    """
    several = [words] if isinstance(words, Tensor) else words
    arrays = [_words(array, f"words[{index}]") for index, array in enumerate(several)]
    widths = sorted({array.shape[1] for array in arrays})
    if len(widths) != 1:
        raise InputError(f"the arrays have {widths} words a row; one number is needed, the same for all")
    if not 1 <= n_bits <= WORD_BITS * widths[0]:
        raise InputError(f"n_bits is {n_bits}, but a row of {widths[0]} words holds 1..{WORD_BITS * widths[0]}")
    stream = device.stream_of({f"words[{index}]": array for index, array in enumerate(arrays)})
    pointers, n_rows = [array.data_ptr() for array in arrays], [array.shape[0] for array in arrays]
    with native():
        if stream is None:
            return core.count_distinct(pointers, n_rows, widths[0], n_bits)
        where = arrays[0].device
        workspace = torch.empty(core.cuda_count_distinct_bytes(n_rows), dtype=torch.uint8, device=where)
        out = torch.empty(1, dtype=torch.int64, device=where)
        core.cuda_count_distinct(pointers, n_rows, widths[0], n_bits, workspace.data_ptr(), out.data_ptr(), stream)
    return int(out.item())


def agreement_counts(words: Tensor, n_neurons: int) -> Tensor:
    """Count, for each pair of samples, the neurons on which their signs agree: V minus the Hamming distance (NWOT).

    `words` is (S, W) int64 as `pack_signs(..., layout="sample")` gives it; its first `n_neurons` bits a row count.
    Returns (S, S) int64, symmetric, with `n_neurons` on the diagonal.

    Raises InputError if `words` is not int64 of two axes, or has too few bits a row.
    """
    words = _words(words, "words")
    n_samples, width = words.shape
    if not 0 <= n_neurons <= WORD_BITS * width:
        raise InputError(f"n_neurons is {n_neurons}, but a row of {width} words holds 0..{WORD_BITS * width}")
    stream = device.stream_of({"words": words})
    out = words.new_empty((n_samples, n_samples))
    arguments = (words.data_ptr(), n_samples, width, n_neurons, out.data_ptr())
    with native():
        if stream is None:
            core.agreement_counts(*arguments, torch.get_num_threads())
        else:
            core.cuda_agreement_counts(*arguments, stream)
    return out
