"""Following the samples from call to call: what keeps their place, and what makes it unknown again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast.observe.samples.axis import AxisCandidates, SampleAxis, candidates_by_size
from lswag_fast.observe.samples.flow import SampleFlow
from support.observing import under_mode

B = 4
FIRST, SECOND = SampleAxis(0), SampleAxis(1)


def followed(func: Callable[..., Any], *args: Any, known: dict[int, SampleAxis], **kwargs: Any) -> SampleAxis | None:
    """Where the samples lie in the output of a call whose arguments number `known` are known."""
    flow = SampleFlow(B)
    for place, sample_axis in known.items():
        flow.mark(args[place], sample_axis)
    out = func(*args, **kwargs)
    flow.follow(func, args, kwargs, [a for a in args if isinstance(a, Tensor)], out)
    return flow.place_of(out)


@pytest.mark.parametrize(
    ("func", "more"),
    [
        (torch.relu, ()), (F.gelu, ()), (torch.sigmoid, ()), (Tensor.clone, ()), (Tensor.relu_, ()),
        (F.layer_norm, ((B,),)), (F.dropout, (0.5,)), (Tensor.add, (1.0,)), (Tensor.__imul__, (2.0,)),
        (Tensor.contiguous, ()),
    ],
)  # fmt: skip
def test_element_by_element_calls_keep_the_place(func: Callable[..., Any], more: tuple[Any, ...]) -> None:
    for sample_axis in (FIRST, SECOND):
        assert followed(func, torch.randn(B, B), *more, known={0: sample_axis}) == sample_axis


def test_one_known_operand_is_enough_and_of_two_that_disagree_the_first_axis_counts() -> None:
    a, b = torch.randn(B, B), torch.randn(B, B)
    assert followed(torch.add, a, b, known={0: FIRST}) == FIRST
    assert followed(torch.add, a, b, known={0: FIRST, 1: FIRST}) == FIRST
    assert followed(torch.add, a, b, known={0: SECOND, 1: FIRST}) == FIRST
    assert followed(torch.add, a, b, known={}) is None


def test_an_operand_of_length_1_along_the_samples_tells_nothing() -> None:
    assert followed(torch.add, torch.randn(1, B), torch.randn(B, B), known={0: FIRST}) is None


@pytest.mark.parametrize("func", [torch.flipud, torch.fliplr, Tensor.mean, Tensor.erfinv])
def test_other_calls_make_it_unknown(func: Callable[..., Any]) -> None:
    assert followed(func, torch.randn(B, B), known={0: FIRST}) is None


@pytest.mark.parametrize("func", [lambda x: x.swapaxes_(0, 1), Tensor.erfinv_])
def test_an_in_place_call_does_not_leave_an_old_place_behind(func: Callable[..., Any]) -> None:
    """`x.swapaxes_(0, 1)` returns the very tensor whose place was known."""
    assert followed(func, torch.randn(B, B), known={0: FIRST}) is None


def test_a_tensor_that_is_gone_lends_its_identity_to_no_other() -> None:
    flow = SampleFlow(B)
    for _ in range(50):
        flow.mark(torch.randn(B), FIRST)
    assert all(flow.place_of(torch.randn(B)) is None for _ in range(50))


def test_batch_tensors_with_samples_are_known() -> None:
    flow, x, mask = SampleFlow(B), torch.randn(B, B), torch.randn(7, 7)
    flow.mark_batch({"x": x, "more": (mask, torch.tensor(3.0))})
    assert flow.place_of(x) == FIRST
    assert flow.place_of(mask) is None


def test_what_is_known_comes_before_what_sizes_allow() -> None:
    flow, x = SampleFlow(B), torch.randn(B, B)
    by_size = candidates_by_size(x.shape, B, range(2))
    assert flow.candidates(x, by_size) is by_size
    flow.mark(x, SECOND)
    assert flow.candidates(x, by_size) == AxisCandidates((SECOND,), certain=True)


def test_as_many_channels_as_samples_need_no_probe() -> None:
    """(B, C, H, W) with C = H = B: every activation behind a known convolution is resolved in the forward pass."""
    x = torch.randn(B, B, B, B)
    mode, _ = under_mode(Planes(), x, B)
    assert [activation.sample_axis for activation in mode.activations] == [FIRST, FIRST]
    assert [call.sample_axis for weight in mode.weights.values() for call in weight.calls] == [FIRST, FIRST]
    unknown, _ = under_mode(Planes(), x, B, known=False)
    assert {activation.sample_axis for activation in unknown.activations} == {None}


class Planes(nn.Module):
    """Two calls of one kernel with as many channels as samples, and a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(B, B, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(F.conv2d(x, self.kernel, padding=1))
        return F.gelu(F.conv2d(y + x, self.kernel, padding=1))
