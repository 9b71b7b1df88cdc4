"""Every entry of the table against torch: output, gradients, the gradients of single samples, and MACs.

A new entry needs a case here: the functions of `OPERATIONS` and of `CASES` must be the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from lswag_fast import reference
from lswag_fast.observe.operations import COMPOSITES, OPERATIONS, UNOBSERVED, BoundCall, unobserved_reason
from lswag_fast.observe.operations.lookup import lookup
from lswag_fast.observe.operations.matrices.grouped_linear import grouped_linear
from lswag_fast.observe.samples.axis import AxisCandidates, SampleAxis

B = 3
ROUNDING = {"rtol": 1e-12, "atol": 1e-12}  # float64 in another order


@dataclass(frozen=True)
class Case:
    """One way to call a function: shapes of input, weight and bias, further keywords, and its MACs in closed form.

    `order` says which of the three is the first argument, which the second, and so on.
    """

    function: Callable[..., Any]
    x: tuple[int, ...]
    weight: tuple[int, ...]
    macs: int
    bias: tuple[int, ...] | None = None
    keywords: dict[str, Any] = field(default_factory=dict)
    order: tuple[int, ...] = (0, 1, 2)

    def operands(self) -> tuple[Tensor, Tensor, Tensor | None]:
        torch.manual_seed(0)
        return (
            torch.randn(self.x, dtype=torch.float64),
            torch.randn(self.weight, dtype=torch.float64),
            None if self.bias is None else torch.randn(self.bias, dtype=torch.float64),
        )

    def bound(self, *operands: Tensor | None) -> BoundCall:
        given = operands or self.operands()
        call = OPERATIONS[self.function].bind(*(given[i] for i in self.order), **self.keywords)
        assert call is not None
        return call

    def plain(self, *operands: Tensor | None) -> Tensor:
        return self.function(*(operands[i] for i in self.order), **self.keywords)


CASES = {
    "linear": Case(F.linear, (B, 5), (6, 5), B * 6 * 5, (6,)),
    "linear on tokens": Case(F.linear, (B, 4, 5), (6, 5), B * 4 * 6 * 5),
    "grouped_linear": Case(grouped_linear, (B, 2, 5), (12, 5), B * 2 * 6 * 5, order=(0, 1)),
    "grouped_linear on tokens": Case(grouped_linear, (B, 4, 2, 5), (12, 5), B * 4 * 2 * 6 * 5, order=(0, 1)),
    "conv1d": Case(torch.conv1d, (B, 4, 9), (6, 4, 3), B * 7 * 6 * 4 * 3, (6,)),
    "conv1d, same, even kernel": Case(
        torch.conv1d, (B, 4, 9), (6, 2, 4), B * 9 * 6 * 2 * 4, None, {"padding": "same", "groups": 2}
    ),
    "conv2d": Case(torch.conv2d, (B, 4, 9, 8), (6, 4, 3, 3), B * 7 * 6 * 6 * 4 * 9, (6,)),
    "conv2d, strided, padded, dilated": Case(
        torch.conv2d, (B, 4, 9, 8), (6, 4, 3, 2), B * 5 * 10 * 6 * 4 * 6, (6,),
        {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)},
    ),
    "conv2d, depthwise": Case(
        torch.conv2d, (B, 4, 7, 7), (4, 1, 3, 3), B * 49 * 4 * 9, None, {"padding": 1, "groups": 4}
    ),
    "conv3d": Case(torch.conv3d, (B, 4, 5, 6, 7), (6, 4, 2, 3, 3), B * 4 * 4 * 5 * 6 * 4 * 18, (6,)),
    "conv3d, strided, padded, dilated, in groups": Case(
        torch.conv3d, (B, 4, 7, 6, 7), (6, 2, 3, 3, 2), B * 3 * 3 * 8 * 6 * 2 * 18, None,
        {"stride": (2, 2, 1), "padding": (1, 1, 1), "dilation": (2, 1, 1), "groups": 2},
    ),
    "conv3d, same, even kernel": Case(
        torch.conv3d, (B, 4, 5, 4, 4), (6, 4, 2, 3, 2), B * 80 * 6 * 4 * 12, None, {"padding": "same"}
    ),
    "conv_transpose1d": Case(torch.conv_transpose1d, (B, 4, 7), (4, 6, 3), B * 4 * 7 * 6 * 3, (6,)),
    "conv_transpose2d": Case(
        torch.conv_transpose2d, (B, 4, 5, 6), (4, 3, 3, 2), B * 4 * 30 * 3 * 6, (6,),
        {"stride": (2, 3), "padding": (1, 0), "output_padding": (1, 2), "groups": 2, "dilation": (2, 1)},
    ),
    "conv_transpose2d, an output padding beyond the stride": Case(
        torch.conv_transpose2d, (B, 4, 5, 6), (4, 6, 3, 2), B * 4 * 30 * 6 * 6, None,
        {"stride": 1, "padding": (3, 0), "output_padding": (2, 0), "dilation": (3, 1)},
    ),
    "conv_transpose3d": Case(
        torch.conv_transpose3d, (B, 4, 2, 4, 5), (4, 6, 2, 3, 2), B * 4 * 40 * 6 * 12, (6,),
        {"stride": (2, 2, 1), "padding": (0, 1, 0), "output_padding": (1, 0, 0)},
    ),
}  # fmt: skip

each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def test_every_entry_has_a_case() -> None:
    assert {case.function for case in CASES.values()} | {
        lookup
    } == OPERATIONS.keys()  # its input are numbers: test_lookup


@each_case
def test_the_output_is_that_of_torch(case: Case) -> None:
    torch.testing.assert_close(
        OPERATIONS[case.function].forward(case.bound()), case.plain(*case.operands()), **ROUNDING
    )


@each_case
@pytest.mark.parametrize("wanted", [(True, True, True), (True, False, False), (False, True, False)])
def test_the_gradients_asked_for_are_those_of_torch(case: Case, wanted: tuple[bool, bool, bool]) -> None:
    call = case.bound()  # its x may already be padded: the gradient is that of the padded input
    leaves = [t.requires_grad_() for t in call[:3] if t is not None]
    operation = OPERATIONS[case.function]
    out = operation.forward(call)
    grad_out = torch.randn_like(out)
    expected = [*torch.autograd.grad(out, leaves, grad_out), None][:3]
    with torch.no_grad():
        found = operation.gradients(call, grad_out, (*wanted[:2], wanted[2] and call.bias is not None))
    for gradient, exact, wants in zip(found, expected, wanted, strict=True):
        assert (gradient is not None) == (wants and exact is not None)
        if gradient is not None:
            torch.testing.assert_close(gradient, exact, **ROUNDING)


@each_case
def test_the_operands_of_the_weight_gradient_give_that_of_each_sample(case: Case) -> None:
    x, weight, bias = case.operands()
    weight.requires_grad_()
    call = case.bound(x, weight, bias)  # its weight may be another view of the argument
    out = case.plain(x, weight, bias)
    grad_out = torch.randn_like(out)
    expected = [torch.autograd.grad(out[b], weight, grad_out[b], retain_graph=True)[0] for b in range(B)]
    operation = OPERATIONS[case.function]
    operands = operation.weight_operands(call.x, grad_out, call.geometry)
    g = operation.kernel_geometry(call.geometry, call.x.shape)
    if g is None:
        found = reference.linear_gradients(*operands)
    else:
        channels = -1 - len(g.kernel_size)
        shape = (len(call.weight), operands[0].shape[channels] // g.groups, *g.kernel_size)
        is_flat = operands[0].dim() == 1 - channels  # no planes
        planes = [operands] if is_flat else zip(*(t.flatten(1, channels - 1).unbind(1) for t in operands), strict=True)
        geometry = (g.stride, g.padding, g.dilation, g.groups)
        found = sum(reference.conv_gradients(*plane, shape, *geometry) for plane in planes)
    found = found.reshape(B, *call.weight.shape)
    of_argument = [torch.autograd.grad(call.weight, weight, g_b, retain_graph=True)[0] for g_b in found]
    torch.testing.assert_close(torch.stack(of_argument), torch.stack(expected), **ROUNDING)


@each_case
def test_macs_are_those_of_the_closed_form_and_of_torchs_counter(case: Case) -> None:
    with FlopCounterMode(display=False) as counter:
        out = case.plain(*case.operands())
    macs = OPERATIONS[case.function].macs(case.bound(), out.shape)
    assert macs == case.macs
    assert 2 * macs == counter.get_total_flops()  # a multiplication and an addition each


@each_case
def test_samples_along_axis_0_are_possible_by_size(case: Case) -> None:
    candidates = OPERATIONS[case.function].sample_axes(case.bound().x, B)
    assert candidates == AxisCandidates((SampleAxis(0),), certain=False)


def test_a_function_stands_in_one_table_only() -> None:
    assert not OPERATIONS.keys() & UNOBSERVED.keys()
    assert not OPERATIONS.keys() & COMPOSITES.keys()


def test_kinds_are_distinct_names() -> None:
    kinds = {operation.kind for operation in OPERATIONS.values()}
    assert len(kinds) == len({id(operation) for operation in OPERATIONS.values()})
    assert "derived" not in kinds  # the kind of a computed weight, whatever its operation


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (F.embedding, "used by embedding, which is a look-up that bounds"),
        (torch.lstm, "used by lstm, which is a recurrent layer"),
        (torch.matmul, "used by matmul, which is not a linear or convolution call"),
    ],
)
def test_a_call_without_a_statistic_is_named(function: Callable[..., Any], words: str) -> None:
    assert unobserved_reason(function).startswith(words)
