"""agreement_counts against products of the signs: whole numbers, exact."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from kernels.cpu.pattern_support import ODD_SIZES, pack_rows, random_words, settings
from lswag_fast import kernels
from lswag_fast.errors import InputError

ISAS = kernels.isa_list()


def expected(signs: Tensor) -> Tensor:
    """Agreements of bool (S, V): both positive, or both not. Float64 holds these whole numbers exactly."""
    on, off = signs.double(), (~signs).double()
    return (on @ on.T + off @ off.T).long()


def random_signs(n_samples: int, n_neurons: int) -> Tensor:
    return torch.rand(n_samples, n_neurons, generator=torch.Generator().manual_seed(n_neurons)) < 0.4


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("n_neurons", [*ODD_SIZES, 128])
@pytest.mark.parametrize("n_samples", [1, 2, 17])
def test_agreements(isa: str, n_neurons: int, n_samples: int) -> None:
    signs = random_signs(n_samples, n_neurons)
    with settings(isa):
        agreements = kernels.agreement_counts(pack_rows(signs), n_neurons)
    assert agreements.dtype == torch.int64
    assert torch.equal(agreements, expected(signs))


@pytest.mark.parametrize("isa", ISAS)
# Below, at and above the words that are handled at a time, for each thread several rows.
@pytest.mark.parametrize("n_neurons", [32767, 32768, 32800, 70000])
def test_long_rows_and_threads(isa: str, n_neurons: int) -> None:
    signs = random_signs(33, n_neurons)
    words = kernels.pack_signs(signs.float(), 33, "sample")
    for threads in (1, 2, 3):
        with settings(isa, threads):
            assert torch.equal(kernels.agreement_counts(words, n_neurons), expected(signs))


def test_bits_past_the_last_neuron_do_not_count() -> None:
    signs = random_signs(9, 300)
    words = pack_rows(signs)
    for n_neurons in (0, 1, 63, 64, 65, 128, 299, 300):
        assert torch.equal(kernels.agreement_counts(words, n_neurons), expected(signs[:, :n_neurons]))


def test_strided_words_and_no_samples() -> None:
    words = random_words(8, 6, seed=5)
    assert torch.equal(
        kernels.agreement_counts(words[::2, ::2], 192), kernels.agreement_counts(words[::2, ::2].contiguous(), 192)
    )
    assert kernels.agreement_counts(words[:0], 10).shape == (0, 0)


@given(st.integers(1, 12), st.integers(1, 200), st.integers(0, 2**32))
def test_properties(n_samples: int, n_neurons: int, seed: int) -> None:
    words = random_words(n_samples, -(-n_neurons // 64), seed)
    agreements = kernels.agreement_counts(words, n_neurons)
    assert torch.equal(agreements, agreements.T)
    assert (agreements.diagonal() == n_neurons).all()
    assert (agreements >= 0).all() and (agreements <= n_neurons).all()
    assert torch.equal(kernels.agreement_counts(~words, n_neurons), agreements)
    against_complement = kernels.agreement_counts(torch.cat((words, ~words)), n_neurons)[:n_samples, n_samples:]
    assert torch.equal(against_complement, n_neurons - agreements)


def test_refuses_bad_arguments() -> None:
    words = random_words(4, 2, seed=0)
    for n_neurons in (-1, 129):
        with pytest.raises(InputError, match=f"n_neurons is {n_neurons}.*0..128"):
            kernels.agreement_counts(words, n_neurons)
    with pytest.raises(InputError, match=r"words is torch\.int32"):
        kernels.agreement_counts(words.int(), 10)
