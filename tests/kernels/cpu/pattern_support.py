"""What the tests of the pattern kernels share: forced settings and a plain oracle of the packed words."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from lswag_fast import kernels

WORD_BITS = 64

# Sizes around the widths of vectors, words and blocks.
ODD_SIZES = (1, 63, 64, 65, 1000)


@contextmanager
def settings(isa: str | None = None, threads: int = 1) -> Iterator[None]:
    """Run under one instruction set and thread count, and give back what was set before."""
    before = torch.get_num_threads()
    kernels.set_isa(isa)
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        kernels.set_isa(None)
        torch.set_num_threads(before)


def pack_rows(bits: Tensor) -> Tensor:
    """Bool (rows, n) -> int64 (rows, ceil(n/64)), bit i of a row in bit i % 64 of word i // 64."""
    padded = torch.nn.functional.pad(bits, (0, -bits.shape[1] % WORD_BITS))
    places = torch.arange(WORD_BITS)
    by_word = padded.reshape(bits.shape[0], padded.shape[1] // WORD_BITS, WORD_BITS)
    return torch.sum(by_word.long() << places, dim=-1)


def random_words(n_rows: int, n_words: int, seed: int) -> Tensor:
    """Words with every bit random."""
    generator = torch.Generator().manual_seed(seed)
    low = -(2**63)
    return torch.randint(low, 2**63 - 1, (n_rows, n_words), dtype=torch.int64, generator=generator)
