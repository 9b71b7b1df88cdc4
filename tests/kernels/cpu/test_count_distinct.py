"""count_distinct against a Python set of rows: exact."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from kernels.cpu.pattern_support import WORD_BITS, random_words
from lswag_fast import kernels
from lswag_fast.errors import InputError

MASK = 2**WORD_BITS - 1


def expected(arrays: list[Tensor], n_bits: int) -> int:
    """The distinct rows as whole numbers: word w counts 2^(64 w)."""
    rows = (row for array in arrays for row in array.tolist())
    numbers = (sum((word & MASK) << (WORD_BITS * w) for w, word in enumerate(row)) for row in rows)
    return len({number % 2**n_bits for number in numbers})


def as_words(numbers: list[int], n_words: int) -> Tensor:
    """Whole numbers -> rows of words, the inverse of the reading in `expected`."""
    rows = [[(number >> (WORD_BITS * w)) & MASK for w in range(n_words)] for number in numbers]
    signed = [[word - 2**WORD_BITS if word >= 2 ** (WORD_BITS - 1) else word for word in row] for row in rows]
    return torch.tensor(signed, dtype=torch.int64).reshape(len(numbers), n_words)


# Bits on both sides of the choice between a bitmap and a table of keys, and of the edges of words.
@pytest.mark.parametrize("n_bits", [1, 2, 5, 6, 7, 12, 15, 16, 17, 20, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 192])
@pytest.mark.parametrize("n_rows", [1, 2, 15, 16, 17, 1000, 3000])
def test_random_rows(n_rows: int, n_bits: int) -> None:
    words = random_words(n_rows, 3, seed=n_rows)
    assert kernels.count_distinct(words, n_bits) == expected([words], n_bits)


@pytest.mark.parametrize("n_words", [1, 2, 3])
def test_many_duplicates(n_words: int) -> None:
    distinct = random_words(700, n_words, seed=1)
    picks = torch.randint(0, 700, (20000,), generator=torch.Generator().manual_seed(2))
    assert kernels.count_distinct(distinct[picks], WORD_BITS * n_words) == picks.unique().numel()


@pytest.mark.parametrize("n_words", [1, 2])
def test_rows_that_differ_in_one_bit_only(n_words: int) -> None:
    n_bits = WORD_BITS * n_words
    words = as_words([0, *(1 << bit for bit in range(n_bits)), 2**n_bits - 1], n_words)
    assert kernels.count_distinct(words, n_bits) == n_bits + 2
    for kept in range(1, n_bits):
        assert kernels.count_distinct(words, kept) == kept + 2 - (kept == 1)  # of one bit only 0 and 1 are left


def test_rows_of_equal_hash_are_compared_word_by_word() -> None:
    def mix(x: int) -> int:  # as the kernel mixes: were it another function, the rows would only collide less
        for _ in range(2):
            x = ((x ^ (x >> 32)) * 0xD6E8FEB86659FD93) & MASK
        return x

    firsts = range(1, 400)
    rows = [first | ((mix(first) ^ 12345) << WORD_BITS) for first in firsts]  # mix(mix(first) ^ second) is the same
    assert kernels.count_distinct(as_words(rows, 2), 128) == len(rows)


def test_union_of_arrays() -> None:
    arrays = [random_words(n, 2, seed=n) % 50 for n in (300, 1, 0, 77)]
    arrays.append(arrays[0][:200])
    for n_bits in (3, 64, 70):
        assert kernels.count_distinct(arrays, n_bits) == expected(arrays, n_bits)


def test_no_rows_and_strided_rows() -> None:
    assert kernels.count_distinct(torch.empty((0, 1), dtype=torch.int64), 10) == 0
    words = random_words(500, 4, seed=3) % 100
    for strided in (words[:, ::2], words[::3], words.T.contiguous().T):
        assert kernels.count_distinct(strided, 128) == expected([strided], 128)


def test_patterns_of_an_activation() -> None:
    y = torch.randn(20, 6, 7, 8, generator=torch.Generator().manual_seed(4)).relu()
    words = kernels.pack_signs(y, 20)
    for n_samples in (1, 4, 9, 20):
        signs = (y[:n_samples] > 0).reshape(n_samples, -1).T
        assert kernels.count_distinct(words, n_samples) == torch.unique(signs, dim=0).shape[0]


rows_of_words = st.integers(1, 3).flatmap(
    lambda n_words: st.tuples(
        st.just(n_words), st.lists(st.integers(0, 40) | st.integers(0, 2 ** (WORD_BITS * n_words) - 1), min_size=1)
    )
)


@given(rows_of_words, st.data())
def test_properties(case: tuple[int, list[int]], data: st.DataObject) -> None:
    n_words, numbers = case
    words = as_words(numbers, n_words)
    n_bits = data.draw(st.integers(1, WORD_BITS * n_words))
    count = kernels.count_distinct(words, n_bits)
    assert 1 <= count <= min(len(numbers), 2**n_bits)
    assert kernels.count_distinct(words.repeat(2, 1), n_bits) == count
    assert kernels.count_distinct(words.flip(0), n_bits) == count
    cut = data.draw(st.integers(0, len(numbers)))
    parts = [words[:cut], words[cut:]]
    assert kernels.count_distinct(parts, n_bits) == count
    assert all(kernels.count_distinct(part, n_bits) <= count for part in parts)
    assert kernels.count_distinct(words, data.draw(st.integers(1, n_bits))) <= count
    masked = as_words([number % 2**n_bits for number in numbers], n_words)
    assert kernels.count_distinct(masked, WORD_BITS * n_words) == count


@pytest.mark.parametrize("n_bits", [0, -3, 129])
def test_refuses_a_number_of_bits(n_bits: int) -> None:
    with pytest.raises(InputError, match=f"n_bits is {n_bits}.*1..128"):
        kernels.count_distinct(random_words(4, 2, seed=0), n_bits)


def test_refuses_other_arrays() -> None:
    good = random_words(4, 2, seed=0)
    with pytest.raises(InputError, match=r"\[1, 2\] words per row"):
        kernels.count_distinct([good, good[:, :1]], 10)
    with pytest.raises(InputError, match="one number is needed"):
        kernels.count_distinct([], 10)
    for bad in (good.int(), good[0], good.to("meta")):
        with pytest.raises(InputError, match=r"words\[1\] is .*int64 with two axes on the CPU"):
            kernels.count_distinct([good, bad], 10)
