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

_NARROW = ((8, torch.uint8), (16, torch.int16), (32, torch.int32))
"""The most bits that an integer of less than a word holds."""

_LAYOUT_NAMES = {"neuron": "neuron_major", "sample": "sample_major"}


def pack_signs(y: Tensor, n_samples: int, layout: PatternLayout = "neuron") -> Tensor:
    """Pack the signs of an activation into bits: 1 where y > 0, 0 where it is not (NaN and -0.0 are not).

    Subnormal numbers are positive also when the process flushes them (`torch.set_flush_denormal`).

    Args:
        y: (S_all, ...), float32, float64, bfloat16 or float16, any strides. V is the product of the axes after the
            first; neurons are numbered in the row-major order of these axes, whatever the strides are.
        n_samples: S, how many of axis 0 are packed, from the first on.
        layout: "neuron" for one pattern per row, as in Definition 1 of L-SWAG, for `count_distinct`; "sample" for one
            activation code per row, for `agreement_counts` (NWOT).

    Returns:
        int64 words of 64 bits, unused high bits zero. "neuron": (V, ceil(S/64)), sample s in bit s % 64 of word
        s // 64. "sample": (S, ceil(V/64)), neuron v in bit v % 64 of word v // 64.

    Raises:
        InputError: another dtype or layout name, or `n_samples` outside 1..S_all.
        BackendUnavailableError: the build has no kernels for the device.

    Example:
        >>> y = torch.tensor([[1.0, -1.0, 2.0], [-3.0, 0.0, 4.0]])
        >>> pack_signs(y, 2).tolist(), pack_signs(y, 2, "sample").tolist()
        ([[1], [0], [3]], [[5], [4]])
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


def narrow_words(words: Tensor, n_bits: int) -> Tensor:
    """Words (V, W) as `pack_signs` gives them, in the smallest integers that hold `n_bits`, to be kept.

    Of four samples a word takes half as much memory as the values that it was made of.

    Example:
        >>> narrow_words(torch.tensor([[0b1001]]), 4)
        tensor([[9]], dtype=torch.uint8)
    """
    if words.shape[1] == 1:
        for most, dtype in _NARROW:
            if n_bits <= most:
                return words.to(dtype)
    return words


def wide_words(words: Tensor, n_bits: int) -> Tensor:
    """Narrow words as `pack_signs` gave them, int64.

    Example:
        >>> wide_words(narrow_words(torch.tensor([[0xFFFF]]), 16), 16)
        tensor([[65535]])
    """
    if words.dtype == torch.int64:
        return words
    return words.long() if words.dtype == torch.uint8 else words.long() & ((1 << n_bits) - 1)


def _words(words: Tensor, name: str) -> Tensor:
    if words.dtype != torch.int64 or words.ndim != 2 or words.device.type not in ("cpu", "cuda"):
        raise InputError(
            f"{name} is {words.dtype} of shape {tuple(words.shape)} on {words.device}; it must be int64 with two axes "
            "on the CPU or a CUDA device, as pack_signs gives"
        )
    return words.contiguous()


def count_distinct(words: Tensor | Sequence[Tensor], n_bits: int) -> int:
    """Count the distinct rows of packed words, exactly: the cardinality of a set of patterns (L-SWAG, Eq. 8).

    On a CUDA device this waits for the result.

    Args:
        words: (V, W) int64 as `pack_signs` gives it, or several such with one W: then the rows of all are one set.
        n_bits: how many of the low bits of a row count, so that patterns of S samples can be read as patterns of fewer.

    Returns:
        The number of different rows; 0 without rows.

    Raises:
        InputError: the arrays differ in W, or are not int64 with two axes, or `n_bits` is outside 1..64 W.
        BackendUnavailableError: the build has no kernels for the device.

    Example:
        >>> words = torch.tensor([[0b01], [0b11], [0b01]])
        >>> count_distinct(words, 2), count_distinct(words, 1)
        (2, 1)
    """
    several = [words] if isinstance(words, Tensor) else words
    arrays = [_words(array, f"words[{index}]") for index, array in enumerate(several)]
    widths = sorted({array.shape[1] for array in arrays})
    if len(widths) != 1:
        raise InputError(f"the arrays have {widths} words per row; one number is needed, the same for all")
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

    Args:
        words: (S, W) int64 as `pack_signs(..., layout="sample")` gives it.
        n_neurons: V, how many bits of a row count, from the first on.

    Returns:
        (S, S) int64, symmetric, with `n_neurons` on the diagonal.

    Raises:
        InputError: `words` is not int64 with two axes, or a row has fewer than `n_neurons` bits.
        BackendUnavailableError: the build has no kernels for the device.

    Example:
        >>> agreement_counts(torch.tensor([[0b101], [0b100]]), 3).tolist()
        [[3, 2], [2, 3]]
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
