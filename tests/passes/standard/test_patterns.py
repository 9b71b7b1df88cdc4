"""Activation patterns: how many samples they use, how they grow over chunks, cardinalities, pairing."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lswag_fast import kernels, reference
from lswag_fast.errors import InputError, LswagWarning
from lswag_fast.observe import ActivationCall
from lswag_fast.observe.samples.axis import SampleAxis, candidates_by_size
from lswag_fast.passes.standard.patterns import Activation, Patterns, samples_for, samples_to_pack


def packed(y: Tensor, n_packed: int, index: int = 0) -> ActivationCall:
    """The call of an activation whose output was y (S, V)."""
    words = kernels.pack_signs(y, n_packed)
    candidates = candidates_by_size(y.shape, y.shape[0], range(1))
    return ActivationCall(
        index, f"relu@{index}", y.shape, candidates, y[0].numel(), (words,), n_packed, (), SampleAxis(0)
    )


def activation(y: Tensor, index: int = 0) -> Activation:
    call = packed(y, len(y), index)
    return Activation.of(call)


@pytest.mark.parametrize("n_neurons", [1, 2, 3, 4, 5, 1023, 1024, 1025, 2**20])
def test_auto_samples_follow_the_formula(n_neurons: int) -> None:
    assert samples_for(n_neurons) == math.ceil(math.log2(n_neurons)) + 2
    assert min(64, samples_for(n_neurons)) == reference.n_pattern_samples(64, n_neurons)


def test_auto_takes_the_largest_activation() -> None:
    activations = [activation(torch.randn(12, 30), 0), activation(torch.randn(12, 200), 1)]
    assert Patterns(activations, "auto", 12).n_samples == 8 + 2


def test_a_batch_too_small_is_one_warning_and_gives_all_samples() -> None:
    with pytest.warns(LswagWarning, match="batch of 5 is smaller") as caught:
        assert Patterns([activation(torch.randn(5, 200), k) for k in range(3)], "auto", 5).n_samples == 5
    assert len(caught) == 1


def test_an_integer_overrides_without_a_warning() -> None:
    assert Patterns([activation(torch.randn(5, 200))], 3, 5).n_samples == 3


@pytest.mark.parametrize(
    ("asked", "n_samples", "chunk_size", "expected"),
    [("auto", 8, None, 8), ("auto", 64, None, 32), ("auto", 64, 4, 32), (7, 64, 4, 7), (100, 128, None, 100),
     (100, 128, 100, 100)],
)  # fmt: skip
def test_samples_to_pack(asked, n_samples, chunk_size, expected) -> None:
    assert samples_to_pack(asked, n_samples, chunk_size) == expected


def test_more_than_one_word_cannot_grow_over_chunks() -> None:
    with pytest.raises(InputError, match="pattern_samples 65 > 64 cannot be collected over chunks of 32"):
        samples_to_pack(65, 128, 32)


@pytest.mark.parametrize("sizes", [(3, 4), (1, 1, 1, 1, 1, 1, 1), (32, 32), (63, 1)])
def test_chunks_append_as_higher_bits(sizes: tuple[int, ...]) -> None:
    y = torch.randn(sum(sizes), 20)
    grown = activation(y[: sizes[0]])
    done = sizes[0]
    for chunk in y.split(sizes)[1:]:
        grown.append(packed(chunk, len(chunk)), done)
        done += len(chunk)
    assert torch.equal(grown.words, activation(y).words)


def test_chunks_without_the_activation_leave_its_bits_off() -> None:
    y = torch.randn(7, 20)
    y[:2] = y[4:6] = -1.0
    grown = Activation.of(packed(y[2:4], 2), 2)
    grown.append(packed(y[6:], 1), 6)
    assert torch.equal(grown.words, activation(y).words)


def test_neurons_that_a_chunk_lacks_are_off_in_it() -> None:
    y = torch.randn(6, 20)
    y[:2, 12:] = y[4:, 16:] = -1.0
    grown = Activation.of(packed(y[:2, :12], 2))
    grown.append(packed(y[2:4], 2), 2)
    grown.append(packed(y[4:, :16], 2), 4)
    assert (grown.n_neurons, torch.equal(grown.words, activation(y).words)) == (20, True)


def test_an_activation_of_later_samples_alone_has_one_pattern() -> None:
    """None of the first samples, which are those of the patterns, switches a neuron on."""
    y = torch.randn(100, 20)
    call = packed(y, 100, 1)
    call.words, call.n_packed = (torch.zeros(20, 0, dtype=torch.int64),), 0
    patterns = Patterns([activation(y), Activation.of(call, 100)], 100, 200)
    assert patterns.cardinality(1) == 1
    assert patterns.union_cardinality([0, 1]) == len(reference.neuron_patterns(y, 100) | {(False,) * 100})


@pytest.mark.parametrize("n_samples", [1, 3, 7])
def test_cardinality_counts_the_patterns_of_the_first_samples(n_samples: int) -> None:
    y = torch.randn(7, 4, 9)
    patterns = Patterns([activation(y.flatten(1))], n_samples, 7)
    assert patterns.cardinality(0) == len(reference.neuron_patterns(y, n_samples))
    assert patterns.cardinality(0) == len(reference.neuron_patterns(y, n_samples))


def test_the_union_counts_a_shared_pattern_once() -> None:
    first, second = torch.randn(4, 9), torch.randn(4, 9)
    patterns = Patterns([activation(first, 0), activation(second, 1), activation(first, 2)], 4, 4)
    sets = [reference.neuron_patterns(y, 4) for y in (first, second)]
    assert patterns.union_cardinality([0, 1, 2, 0]) == len(sets[0] | sets[1])
    assert patterns.union_cardinality([2]) == patterns.cardinality(0)
    assert patterns.union_cardinality([]) == 0


def test_a_weight_is_paired_by_the_numbers_of_the_calls() -> None:
    calls = [activation(torch.randn(4, 9), index) for index in (1, 3)]
    patterns = Patterns(calls, 4, 4, {0: 1, 2: 1, 4: 3})
    assert [patterns.feeding(weight) for weight in (0, 2, 4)] == [0, 0, 1]
    assert Patterns([], None, 4).feeding(0) is None


def test_an_activation_too_large_for_auto_asks_for_a_number() -> None:
    huge = Activation(0, "relu@0", 2**31, torch.zeros((), dtype=torch.int64).expand(2**31, 1))  # no memory behind it
    with pytest.raises(InputError, match=r"2147483648 neurons.*33 samples"):
        Patterns([huge], "auto", 64)
