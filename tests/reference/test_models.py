"""How the definitions run a model: gradients per sample, unused parameters, micro-batches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lswag_fast import reference


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
