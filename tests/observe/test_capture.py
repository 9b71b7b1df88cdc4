"""What is kept of an activation: signs for each axis that may hold the samples, agreements, or a reason."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lswag_fast.observe.capture import CaptureOptions, activation_name, capture_activation, unpackable_reason
from lswag_fast.observe.samples.axis import AxisCandidates, SampleAxis

B = 3
BOTH = AxisCandidates((SampleAxis(0), SampleAxis(1)), certain=False)
FIRST = AxisCandidates((SampleAxis(0),), certain=True)


def test_signs_are_packed_for_each_candidate() -> None:
    out = torch.tensor([[1.0, 1.0, 1.0], [-1.0, -1.0, 1.0], [1.0, 1.0, -1.0]])
    found = capture_activation(4, "relu@4", out, BOTH, B, CaptureOptions(n_packed=B))
    assert [words.flatten().tolist() for words in found.words] == [[0b101, 0b101, 0b011], [0b111, 0b100, 0b011]]
    assert (found.index, found.name, found.n_neurons, found.n_packed) == (4, "relu@4", 3, B)
    assert found.agreements == ()


def test_agreements_count_the_neurons_with_equal_signs() -> None:
    out = torch.tensor([[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0], [1.0, 1.0, -1.0]])
    found = capture_activation(0, "relu@0", out, FIRST, B, CaptureOptions(n_packed=0, agreements=True))
    assert found.resolved_words.shape == (3, 0)
    assert found.agreements[0].tolist() == [[3, 2, 1], [2, 3, 0], [1, 0, 3]]


@pytest.mark.parametrize(
    ("out", "candidates", "words"),
    [
        (torch.zeros(B, 0), FIRST, "has no elements"),
        (torch.zeros(B, 2, dtype=torch.int32), FIRST, "int32"),
        (torch.zeros(5), AxisCandidates((), certain=False), "no axis holds the samples"),
    ],
)
def test_what_cannot_be_packed_has_a_reason(out, candidates, words) -> None:
    assert words in unpackable_reason(out, candidates)


def test_what_can_be_packed_has_none() -> None:
    assert unpackable_reason(torch.zeros(B, 2), FIRST) is None


@pytest.mark.parametrize(("function", "name"), [(F.relu, "relu@2"), (torch.relu_, "relu@2"), (F.gelu, "gelu@2")])
def test_an_activation_is_named_after_its_function_and_number(function, name) -> None:
    assert activation_name(2, function) == name
