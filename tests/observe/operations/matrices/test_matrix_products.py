"""Products of matrices with a parameter on either side: torch's outputs, and the gradients of single samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.observe.operations import MacCounter
from lswag_fast.observe.operations.matrices.matrix_products import labels_of
from lswag_fast.observe.recorder import WeightRecorder
from support.per_sample import Called, assert_per_sample

B = 5
MANY, FEW = (B, 3, 4), (B, 4)  # inputs with and without positions


def randn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


ONE_WEIGHT = {
    "matmul": (FEW, (4, 6), torch.matmul),
    "matmul on positions": (MANY, (4, 6), torch.matmul),
    "@": (MANY, (4, 6), lambda x, w: x @ w),
    "method": (MANY, (4, 6), lambda x, w: x.matmul(w)),
    "keywords": (MANY, (4, 6), lambda x, w: torch.matmul(input=x, other=w)),
    "mm": (FEW, (4, 6), torch.mm),
    "linalg": (FEW, (4, 6), torch.linalg.matmul),
    "on the left": (MANY, (6, 3), lambda x, w: w @ x),
    "a transposed view": (MANY, (6, 4), lambda x, w: x @ w.t()),
    "a slice": (MANY, (8, 6), lambda x, w: x @ w[2:6]),
    "one matrix for each of the positions": (MANY, (3, 4, 6), lambda x, w: x[:, :, None] @ w),
    "one of them with an axis of one": (MANY, (1, 4, 6), lambda x, w: x @ w),
    "expanded over the samples": (MANY, (4, 6), lambda x, w: torch.bmm(x, w.expand(B, 4, 6))),
    "bmm with groups first": (MANY, (3, 4, 6), lambda x, w: torch.bmm(x.transpose(0, 1), w).transpose(0, 1)),
    "baddbmm": (MANY, (3, 4, 6), lambda x, w: torch.baddbmm(x.new_ones(6), x.transpose(0, 1), w).transpose(0, 1)),
    "addmm, scaled": (FEW, (4, 6), lambda x, w: torch.addmm(x[:, :1], x, w, beta=0.5, alpha=2)),
    "tensordot": (MANY, (3, 4, 6), lambda x, w: torch.tensordot(x, w, 2)),
    "tensordot over named axes": (MANY, (6, 4, 3), lambda x, w: torch.tensordot(x, w, dims=([2, 1], [1, 2]))),
    "einsum": (MANY, (4, 6), lambda x, w: torch.einsum("bti,io->bto", x, w)),
    "einsum without arrow": (MANY, (4, 6), lambda x, w: torch.einsum("bti,iu", x, w)),
    "einsum with ellipsis": (MANY, (4, 6), lambda x, w: torch.einsum("...i,io->...o", x, w)),
    "einsum of lists": (MANY, (4, 6), lambda x, w: torch.einsum(x, [0, 1, 2], w, [2, 3], [0, 3, 1])),
    "einsum to heads": (MANY, (2, 4, 3), lambda x, w: torch.einsum("bti,hid->bhtd", x, w)),
    "einsum from heads": (MANY, (3, 4, 6), lambda x, w: torch.einsum("bhd,hdo->bo", x, w)),
    "einsum of groups": (MANY, (3, 4, 6), lambda x, w: torch.einsum("bhd,hde->bhe", x, w)),
    "einsum of two axes of groups": (
        (B, 2, 3, 4), (3, 2, 4, 6), lambda x, w: torch.einsum("bghd,hgde->bhge", x, w)
    ),
    "einsum with a sum over positions": (MANY, (4, 6), lambda x, w: torch.einsum("bti,io->bo", x, w)),
    "einsum of queries": (MANY, (6, 4), lambda x, w: torch.einsum("qi,bti->bqt", w, x)),
    "einsum of three": (MANY, (4, 4), lambda x, w: torch.einsum("bti,ij,bsj->bts", x, w, x)),
    "einsum to a number": (MANY, (3, 4), lambda x, w: torch.einsum("bti,ti->b", x, w)),
}  # fmt: skip


@pytest.mark.parametrize(("x", "weight", "function"), ONE_WEIGHT.values(), ids=ONE_WEIGHT)
def test_outputs_and_per_sample_gradients_are_those_of_torch(
    x: tuple[int, ...], weight: tuple[int, ...], function: Callable[..., Any]
) -> None:
    assert_per_sample(Called(function, randn(*weight)), randn(*x), B, ["a"])


def test_addmm_as_gpt_2_calls_it() -> None:
    def conv1d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.addmm(bias, x.view(-1, 4), weight).view(-1, 3, 6)

    observation = assert_per_sample(Called(conv1d, randn(4, 6), randn(6)), randn(*MANY), B, ["a"])
    assert [(w.name, w.kind) for w in observation.weights] == [("a", "linear")]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("positions", [(), (3,), (2, 3)])
def test_bilinear_is_observed(bias: bool, positions: tuple[int, ...]) -> None:
    inputs = (randn(B, *positions, 4), randn(B, *positions, 7))
    parameters = (randn(6, 4, 7), *([randn(6)] if bias else []))
    assert_per_sample(Called(F.bilinear, *parameters), inputs, B, ["a"])


def test_the_macs_of_bilinear_are_the_same_by_its_own_kernel() -> None:
    inputs, weight = (randn(B, 4), randn(B, 7)), torch.nn.Parameter(randn(6, 4, 7))
    plain, counter = MacCounter(), MacCounter()
    with torch.no_grad(), plain:
        F.bilinear(*inputs, weight)
    with torch.no_grad(), counter, WeightRecorder({"weight": weight}, counter=counter):
        F.bilinear(*inputs, weight)
    assert plain.macs == counter.macs == B * 6 * (4 + 1) * 7


def test_two_products_on_one_weight_are_one_weight() -> None:
    observation = assert_per_sample(Called(lambda x, w: (x @ w).relu() @ w, randn(4, 4)), randn(*FEW), B, ["a"])
    assert [len(weight.calls) for weight in observation.weights] == [2]


def test_a_matrix_and_its_transpose_are_one_weight() -> None:
    observation = assert_per_sample(Called(lambda x, w: (x @ w).relu() @ w.t(), randn(4, 6)), randn(*MANY), B, ["a"])
    assert [len(weight.calls) for weight in observation.weights] == [2]


def test_an_einsum_and_a_linear_call_on_one_weight_are_one_weight() -> None:
    def twice(x: Tensor, w: Tensor) -> Tensor:
        return torch.nn.functional.linear(torch.einsum("bi,oi->bo", x, w), w)

    observation = assert_per_sample(Called(twice, randn(4, 4)), randn(*FEW), B, ["a"])
    assert [len(weight.calls) for weight in observation.weights] == [2]


@pytest.mark.parametrize(
    "function",
    [
        lambda x, w: x.transpose(1, 2) @ x,  # attention
        lambda x, w: x @ (w * 1),  # computed: `mul` used the parameter
        lambda x, w: x * (w @ w)[:3],  # no input
        lambda x, w: torch.einsum("bti,ii->bti", x, w),  # a scale
        lambda x, w: torch.einsum("bti,ij->bti", x, w),  # a scale, too
        lambda x, w: torch.einsum("bti,tj->btij", x, w[:3]),
    ],
)
def test_what_is_no_product_with_a_matrix_is_none_on_a_weight(function: Callable[..., Any]) -> None:
    observation = assert_per_sample(Called(function, randn(4, 4)), randn(*MANY), B, [])
    assert [skip.name for skip in observation.skipped] == ["a"]


def test_a_frozen_matrix_is_left_alone_and_the_adapter_beside_it_observed() -> None:
    model = Called(lambda x, base, a, b: x @ base + (x @ a) @ b, randn(4, 6), randn(4, 2), randn(2, 6))
    model.a.requires_grad_(False)
    observation = assert_per_sample(model, randn(*MANY), B, ["b", "c"])
    assert [skip.reason for skip in observation.skipped] == ["frozen (requires_grad=False)"]


def test_errors_are_those_of_torch() -> None:
    model = Called(lambda x, w: x @ w, randn(5, 6))
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        assert_per_sample(model, randn(*FEW), B, ["a"])


@pytest.mark.parametrize(
    ("equation", "dims", "expected"),
    [
        ("bi,io->bo", (2, 2), ([(0, 1), (1, 2)], (0, 2))),
        ("bi,oi", (2, 2), ([(0, 1), (2, 1)], (0, 2))),
        ("... i , i o -> ... o", (3, 2), ([(4, 3, 0), (0, 1)], (4, 3, 1))),
        ("...ij,...jk", (3, 4), ([(4, 0, 1), (5, 4, 1, 2)], (5, 4, 0, 2))),
        ("bi,io->bo", (2, 3), None),
        ("bi,io->bz", (2, 2), None),
        ("bi->b", (2, 2), None),
    ],
)
def test_an_equation_is_numbered(equation: str, dims: tuple[int, ...], expected: Any) -> None:
    assert labels_of(equation, dims) == expected
