"""Parameters by identity, through views, and which views overlap."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lswag_fast.observe.weights import Piece, WeightTable, overlapping, owner_of, tensors_in


@pytest.fixture
def model() -> nn.Module:
    layers = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 4), nn.Conv2d(2, 3, 3))
    layers[1].requires_grad_(False)
    return layers


def test_a_parameter_and_its_views_bear_its_name(model: nn.Module) -> None:
    table, weight = WeightTable(model), model[0].weight
    views = [weight, weight[:3], weight[1:, ::2], weight.t(), weight.view(-1), weight[:3][:, :2], weight.T]
    assert [table.name_of(view) for view in views] == ["0.weight"] * len(views)


class Passed(torch.autograd.Function):
    """Gives back what it gets, with a gradient of its own."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        return weight

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return 2 * grad


@pytest.mark.parametrize("frozen", [False, True])
def test_a_view_by_an_autograd_function_is_no_parameter(model: nn.Module, frozen: bool) -> None:
    table, weight = WeightTable(model), model[0].weight
    model.requires_grad_(not frozen)
    passed = Passed.apply(weight)
    for view in (passed, passed.t(), passed[:2], Passed.apply(weight.t())):
        assert table.name_of(view) is None
        assert owner_of(view) is not weight
    assert owner_of(weight[:2].t()) is weight


def test_a_computed_or_detached_tensor_is_no_parameter(model: nn.Module) -> None:
    table, weight = WeightTable(model), model[0].weight
    for other in (weight * 1, weight.clone(), weight.detach(), weight.data, torch.zeros(6, 4)):
        assert table.name_of(other) is None


def test_a_tied_parameter_counts_once_under_its_first_name(model: nn.Module) -> None:
    model.append(nn.Linear(4, 6))
    model[3].weight = model[0].weight
    table = WeightTable(model)
    assert "3.weight" not in table.parameters
    assert table.name_of(model[3].weight) == "0.weight"


def test_frozen_parameters_are_remembered_after_the_pass_freezes_all(model: nn.Module) -> None:
    table = WeightTable(model)
    model.requires_grad_(False)
    assert table.frozen == {"1.weight", "1.bias"}


def test_matrices_leave_out_biases(model: nn.Module) -> None:
    assert [name for name, _ in WeightTable(model).matrices()] == ["0.weight", "1.weight", "2.weight"]


WEIGHT = torch.zeros(12, 6)
OVERLAPS = {
    "one view": ([WEIGHT[:4]], False),
    "row ranges": ([WEIGHT[:4], WEIGHT[4:8], WEIGHT[8:]], False),
    "shared row": ([WEIGHT[:5], WEIGHT[4:8]], True),
    "interleaved rows": ([WEIGHT[0::3], WEIGHT[1::3], WEIGHT[2::3]], False),
    "interleaved and one of them": ([WEIGHT[0::3], WEIGHT[3:4]], True),
    "column ranges": ([WEIGHT[:, :3], WEIGHT[:, 3:]], False),
    "corner and whole": ([WEIGHT[:2, :2], WEIGHT], True),
    "opposite corners": ([WEIGHT[:6, :3], WEIGHT[6:, 3:]], False),
    "transposed": ([WEIGHT, WEIGHT.t()], True),
    "one row repeated": ([WEIGHT[:1].expand(5, 6)], True),
    "sliding windows": ([WEIGHT[0].unfold(0, 3, 1)], True),
    "an axis of one element with stride 0": ([WEIGHT[0].expand(1, 6)], False),
}


@pytest.mark.parametrize(("views", "expected"), OVERLAPS.values(), ids=OVERLAPS)
def test_overlapping(views: list[Tensor], expected: bool) -> None:
    assert overlapping(Piece.of(view) for view in views) is expected


def test_tensors_in_nested_arguments() -> None:
    a, b, c = torch.zeros(1), torch.zeros(2), torch.zeros(3)
    found = tensors_in(([a, (b, "text")], {"key": c, "other": 3}), 5)
    assert sorted(map(id, found)) == sorted(map(id, (a, b, c)))
