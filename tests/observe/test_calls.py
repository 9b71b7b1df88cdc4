"""Calls that a pass leaves behind: their operands viewed sample-first, in groups and plane by plane."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lswag_fast.kernels import ConvGeometry
from lswag_fast.observe.calls import ActivationCall, ObservedWeight, WeightCall
from lswag_fast.observe.operations.convolution import CONV2D
from lswag_fast.observe.operations.linear import LINEAR
from lswag_fast.observe.samples.axis import AxisCandidates, SampleAxis
from lswag_fast.observe.weights import Piece

B = 4
GEOMETRY = ConvGeometry((1, 1), (1, 1), (0, 0), (1, 1), 1)


def call(x: Tensor, grad_out: Tensor, axis: SampleAxis, conv: ConvGeometry | None = None) -> WeightCall:
    """A call whose operands have arrived."""
    candidates = AxisCandidates((axis,), certain=True)
    made = WeightCall(0, LINEAR if conv is None else CONV2D, x.shape, candidates, torch.zeros(()), conv)
    made.operands = (x, grad_out)
    return made


def test_certain_candidates_are_the_sample_axis() -> None:
    options = (SampleAxis(1), SampleAxis(0))
    for certain in (True, False):
        made = WeightCall(0, LINEAR, torch.Size((B, B, 2)), AxisCandidates(options, certain), torch.zeros(()))
        assert made.sample_axis == (SampleAxis(1) if certain else None)


def test_operands_are_viewed_with_the_samples_first() -> None:
    x, grad_out = torch.randn(7, B, 3), torch.randn(7, B, 5)
    ((x_found, grad_found),) = call(x, grad_out, SampleAxis(1)).gradient_operands(B)
    assert torch.equal(x_found, x.transpose(0, 1))
    assert torch.equal(grad_found, grad_out.transpose(0, 1))


def test_members_of_a_group_become_positions() -> None:
    x, grad_out = torch.randn(B, 3), torch.randn(B, 5)
    ((x_found, grad_found),) = call(x, grad_out, SampleAxis(0)).gradient_operands(B, group=2)
    assert torch.equal(x_found, x.reshape(2, 2, 3))
    assert torch.equal(grad_found, grad_out.reshape(2, 2, 5))


def test_a_convolution_on_windows_comes_plane_by_plane() -> None:
    x, grad_out = torch.randn(2 * B, 3, 5, 5), torch.randn(2 * B, 6, 5, 5)
    pairs = list(call(x, grad_out, SampleAxis(0, 1, 2), GEOMETRY).gradient_operands(B))
    assert [(tuple(x.shape), tuple(g.shape)) for x, g in pairs] == [((B, 3, 5, 5), (B, 6, 5, 5))] * 2
    assert torch.equal(pairs[1][0], x[1::2])


@pytest.mark.parametrize("missing", ["operands", "sample_axis"])
def test_a_call_without_operands_or_axis_has_none(missing: str) -> None:
    made = call(torch.randn(B, 3), torch.randn(B, 5), SampleAxis(0))
    setattr(made, missing, None)
    assert list(made.gradient_operands(B)) == []


def test_output_and_gradient_have_the_channels_last() -> None:
    out, grad_out = torch.randn(B, 6, 5, 4), torch.randn(B, 6, 5, 4)
    made = call(torch.randn(B, 3, 5, 4), grad_out, SampleAxis(0), GEOMETRY)
    assert made.output_and_gradient(B) is None
    made.output = lambda: out
    pair = made.output_and_gradient(B)
    assert pair is not None
    assert torch.equal(pair[0], out.movedim(1, -1))
    assert torch.equal(pair[1], grad_out.movedim(1, -1))


def test_a_weight_joins_the_operands_of_its_calls() -> None:
    calls = [call(torch.randn(B, 3), torch.randn(B, 5), SampleAxis(0)) for _ in range(3)]
    calls[1].operands = None
    view = torch.randn(5, 3)
    weight = ObservedWeight("w", "linear", Piece.of(view), view, calls)
    assert len(weight.gradient_operands(B)) == 2
    assert (weight.first_index, weight.conv) == (0, None)


def test_an_activation_gives_what_belongs_to_its_sample_axis() -> None:
    first, second = torch.zeros(2, dtype=torch.int64), torch.ones(2, dtype=torch.int64)
    options = AxisCandidates((SampleAxis(0), SampleAxis(1)), certain=False)
    made = ActivationCall(0, "relu@0", torch.Size((B, B)), options, B, (first, second), B)
    made.sample_axis = SampleAxis(1)
    assert made.resolved_words is second
    assert made.resolved_agreements is None
