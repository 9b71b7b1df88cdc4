"""The float64 definitions on examples small enough to work by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lswag_fast import reference


def test_linear_gradients_are_outer_products() -> None:
    x, grad_out = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[10.0], [100.0]])
    found = reference.linear_gradients(x, grad_out)
    assert found.dtype == torch.float64
    assert found.tolist() == [[[10.0, 20.0]], [[300.0, 400.0]]]


def test_linear_gradients_sum_over_positions_of_any_number_of_axes() -> None:
    x, grad_out = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.tensor([[[1.0], [10.0]]])
    assert reference.linear_gradients(x, grad_out).tolist() == [[[31.0, 42.0]]]
    assert reference.linear_gradients(x[:, None], grad_out[:, None]).tolist() == [[[31.0, 42.0]]]


def test_conv_gradients_by_hand() -> None:
    """Kernel 2 on 3 pixels: each tap sees two pixels."""
    x, grad_out = torch.tensor([[[1.0, 2.0, 3.0]]]), torch.tensor([[[10.0, 100.0]]])
    assert reference.conv_gradients(x, grad_out, (1, 1, 2), (1,), (0,), (1,), 1).tolist() == [[[[210.0, 320.0]]]]
    dilated = reference.conv_gradients(x, grad_out[:, :, :1], (1, 1, 2), (1,), (0,), (2,), 1)
    assert dilated.tolist() == [[[[10.0, 30.0]]]]


def test_conv_gradients_of_groups_see_their_own_channels() -> None:
    x, grad_out = torch.tensor([[[[1.0]], [[2.0]]]]), torch.tensor([[[[10.0]], [[100.0]]]])
    assert reference.conv_gradients(x, grad_out, (2, 1, 1, 1), (1, 1), (0, 0), (1, 1), 2).flatten().tolist() == [
        10,
        200,
    ]


def squares(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square().sum() / 2


@pytest.mark.parametrize("form", ["tensor", "tuple", "dict"])
def test_per_sample_gradients_of_a_regression(form: str) -> None:
    """L = (w x - y)^2 / 2, so dL/dw = (w x - y) x."""
    model = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 1.0]]))
    x, y = torch.tensor([[1.0, 0.0], [1.0, 2.0]]), torch.tensor([[0.0], [1.0]])
    inputs: Any = {"tensor": x, "tuple": (x,), "dict": {"input": x}}[form]
    gradients = reference.per_sample_gradients(model, (inputs, y), ["weight"], squares)
    assert gradients["weight"].tolist() == [[[1.0, 0.0]], [[2.0, 4.0]]]
    assert model.weight.grad is None


class WithSpare(nn.Linear):
    """A layer beside one that it does not use."""

    def __init__(self) -> None:
        super().__init__(2, 1)
        self.spare = nn.Linear(3, 3)


def test_a_parameter_that_is_not_used_has_zero_gradients() -> None:
    model = WithSpare()
    gradients = reference.per_sample_gradients(model, (torch.randn(4, 2), torch.randn(4, 1)), ["spare.weight"], squares)
    assert torch.equal(gradients["spare.weight"], torch.zeros(4, 3, 3, dtype=torch.float64))


def test_micro_batches_sum_consecutive_samples() -> None:
    gradients = torch.tensor([1.0, 2.0, 3.0, 4.0])[:, None]
    assert reference.micro_batches(gradients, 2).tolist() == [[3.0], [7.0]]


def test_gradient_statistics_by_hand() -> None:
    """Weight 0: gradients 1, -3; weight 1: 2, 2 (no variance); weight 2: -1, 1 (varies only with its sign)."""
    gradients = torch.tensor([[1.0, 2.0, -1.0], [-3.0, 2.0, 1.0]])
    found = reference.gradient_statistics(gradients, weight=torch.tensor([1.0, 2.0, 5.0]), xi=1.0)
    assert found["n_weights"] == 3
    assert found["n_zero_variance"] == 2
    assert found["sum_inv_sigma"] == 1.0
    assert found["sum_mu_over_sigma"] == 2.0
    assert found["sum_gsnr"] == pytest.approx(1 / (4 + 1) + 4 / (0 + 1) + 0)
    assert found["sum_batch_gradient"] == -2.0 + 4.0 + 0.0
    assert found["sum_squared_batch_gradient"] == 4.0 + 16.0
    assert found["max_abs_batch_gradient"] == 4.0
    assert found["sum_weight_gradient"] == -2.0 + 8.0
    assert found["sum_abs_weight_gradient"] == 2.0 + 8.0
    signed = reference.gradient_statistics(gradients, gradient="signed")
    assert signed["sum_inv_sigma"] == 1 / 2 + 1.0
    assert signed["n_zero_variance"] == 1


def test_trainability_is_the_logarithm_of_the_sum() -> None:
    gradients = torch.tensor([[1.0, 0.0], [3.0, 4.0]])
    assert reference.trainability(gradients) == pytest.approx(math.log(1.0 + 0.5))


@pytest.mark.parametrize(
    ("n_samples", "n_neurons", "expected"), [(64, 1024, 12), (64, 1025, 13), (8, 1024, 8), (64, 1, 2)]
)
def test_n_pattern_samples(n_samples: int, n_neurons: int, expected: int) -> None:
    assert reference.n_pattern_samples(n_samples, n_neurons) == expected


def test_patterns_are_the_distinct_columns_of_signs() -> None:
    activation = torch.tensor([[1.0, -1.0, 2.0, 0.0], [0.5, 1.0, 3.0, -1.0], [-1.0, 1.0, 1.0, 1.0]])
    assert reference.neuron_patterns(activation, 2) == {(True, True), (False, True), (False, False)}
    assert len(reference.neuron_patterns(activation, 3)) == 4


def test_agreement_counts_equal_neurons() -> None:
    activation = torch.tensor([[1.0, -1.0, 1.0], [1.0, 1.0, -1.0]])
    assert reference.agreement(activation, 2).tolist() == [[3.0, 1.0], [1.0, 3.0]]


@pytest.mark.parametrize(
    ("combine", "expected"),
    [
        ("layerwise", math.log(1.5) * 3 + math.log(2.0) * 2),
        ("product", (math.log(1.5) + math.log(2.0)) * 3),
        ("log", math.log(1.5 * 3) + math.log(2.0 * 2)),
    ],
)
def test_lswag_by_hand(combine: Any, expected: float) -> None:
    gradients = [torch.tensor([[1.0, 0.0], [3.0, 4.0]]), torch.tensor([[0.0, 2.0], [2.0, 4.0]])]
    wide = torch.tensor([[1.0, -1.0, 0.0], [1.0, 1.0, -1.0]])  # patterns 11, 01, 00
    narrow = torch.tensor([[1.0, -1.0], [1.0, 1.0]])  # patterns 11, 01
    found = reference.lswag(gradients, [wide, narrow], [0, 1], 2, combine)
    assert found == pytest.approx(expected, rel=1e-15)
