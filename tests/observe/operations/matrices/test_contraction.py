"""Which products are linear calls, on which view of the parameter; the rest is told with the functions of torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.observe.operations.matrices.contraction import Operand, contract
from lswag_fast.observe.operations.matrices.grouped_linear import grouped_linear
from lswag_fast.observe.samples.axis import AxisCandidates, Place, SampleAxis
from lswag_fast.observe.samples.rows import SampleRows

B, T, I, O = range(4)  # noqa: E741 - the letters of the axes


class Log:
    """Writes down the inner calls, and makes them."""

    n_samples = 3

    def __init__(self, *weights: Tensor) -> None:
        self.weights = weights
        self.places: dict[int, Place] = {}
        self.candidates: list[Any] = []
        self.calls: list[tuple[Any, tuple[Any, ...], Tensor | None]] = []

    def place_of(self, tensor: Tensor) -> Place | None:
        return self.places.get(id(tensor))

    def mark(self, tensor: Tensor, place: Place) -> None:
        self.places[id(tensor)] = place

    def is_weight(self, tensor: Tensor) -> bool:
        return any(tensor is weight for weight in self.weights)

    def inner_call(self, function: Any, args: Any, candidates: Any = None, source: Tensor | None = None) -> Tensor:
        self.calls.append((function, args, source))
        self.candidates.append(candidates)
        return function(*args)


def test_a_matrix_whose_axes_are_in_order_is_handed_over_as_it_is() -> None:
    x, weight, bias = torch.randn(3, 4, 5), torch.randn(6, 5), torch.randn(6)
    log = Log(weight)
    out = contract(log, [Operand(x, (B, T, I)), Operand(weight, (O, I))], (B, T, O), bias)
    ((function, (given, matrix, added), source),) = log.calls
    assert function is F.linear
    assert given is x
    assert matrix is weight
    assert added is bias
    assert source is None
    torch.testing.assert_close(out, F.linear(x, weight, bias))


def test_a_rearranged_weight_is_known_by_the_view_that_was_rearranged() -> None:
    x, weight = torch.randn(3, 4, 5), torch.randn(5, 4, 6)
    log = Log(weight)
    out = contract(log, [Operand(x, (B, T, I)), Operand(weight, (I, T, O))], (O, B))
    ((_, (given, matrix, _), source),) = log.calls
    assert given.shape == (3, 20)
    assert matrix.shape == (6, 20)
    assert source is not None
    assert source.shape == (6, 5, 4)
    assert source._base is weight
    torch.testing.assert_close(out, torch.einsum("bti,ito->ob", x, weight))


def test_an_axis_that_both_keep_makes_groups() -> None:
    x, weight = torch.randn(3, 4, 5), torch.randn(4, 6, 5)
    log = Log(weight)
    out = contract(log, [Operand(x, (B, T, I)), Operand(weight, (T, O, I))], (B, T, O))
    ((function, (given, matrix), _),) = log.calls
    assert function is grouped_linear
    assert given is x
    assert matrix.shape == (24, 5)
    torch.testing.assert_close(out, torch.einsum("bti,toi->bto", x, weight))


@pytest.mark.parametrize(
    ("x", "weight", "out"),
    [
        ((B, T, I), (T, I), (B, T, I)),  # a scale
        ((B, T), (I, O), (B, T, I, O)),  # nothing in common
        ((B, T, I), (I, O), (B, T)),  # summed by itself
        ((B, B), (B, O), (B, O)),  # a diagonal
    ],
)
def test_what_is_no_matrix_product_is_declined(x: Any, weight: Any, out: Any) -> None:
    w = torch.ones([4] * len(weight))
    log = Log(w)
    assert contract(log, [Operand(torch.ones([4] * len(x)), x), Operand(w, weight)], out) is NotImplemented
    assert log.calls == []


def test_two_parameters_are_declined() -> None:
    a, b = torch.randn(4, 5), torch.randn(5, 6)
    assert contract(Log(a, b), [Operand(a, (T, I)), Operand(b, (I, O))], (T, O)) is NotImplemented


def test_a_parameter_with_one_axis_is_no_weight() -> None:
    vector = torch.randn(5)
    operands = [Operand(torch.randn(3, 5), (B, I)), Operand(vector, (I,))]
    assert contract(Log(vector), operands, (B,)) is NotImplemented


def test_the_samples_are_followed_through_the_axes() -> None:
    x, weight = torch.randn(5, 6, 4), torch.randn(5, 2)  # features, two windows of each sample, positions
    log = Log(weight)
    log.mark(x, SampleAxis(1, 1, 2))
    out = contract(log, [Operand(x, (I, B, T)), Operand(weight, (I, O))], (T, O, B))
    assert log.candidates == [AxisCandidates((SampleAxis(0, 1, 2),), certain=True)]
    assert log.place_of(out) == SampleAxis(2, 1, 2)


def test_rows_that_the_data_chose_are_followed_along_axis_0() -> None:
    rows, weight = SampleRows(torch.tensor([2, 0, 2])), torch.randn(5, 2)
    log, x = Log(weight), torch.randn(3, 5)
    log.mark(x, rows)
    out = contract(log, [Operand(x, (B, I)), Operand(weight, (I, O))], (B, O))
    assert log.candidates == [AxisCandidates((rows,), certain=True)]
    assert log.place_of(out) == rows
    turned = contract(log, [Operand(x, (B, I)), Operand(weight, (I, O))], (O, B))
    assert log.place_of(turned) is None


def test_a_sum_over_the_samples_has_none() -> None:
    x, weight = torch.randn(3, 5), torch.randn(3, 2)
    log = Log(weight)
    log.mark(x, SampleAxis(0))
    contract(log, [Operand(x, (B, I)), Operand(weight, (B, O))], (I, O))
    assert log.candidates == [AxisCandidates((), certain=False)]
