"""Each loss against a float64 loop, and what it refuses."""

from __future__ import annotations

import math

import pytest
import torch

from lswag_fast.errors import InputError
from lswag_fast.tasks.losses import LOSSES


def by_hand(name: str, outputs: torch.Tensor, targets: torch.Tensor) -> list[float]:
    """Number by number in Python's float64; the vectors of "cosine" lie along axis 1."""
    found = []
    for output, target in zip(outputs.tolist(), targets.tolist(), strict=True):
        pairs = list(zip(output, target, strict=True))
        if name == "cosine":
            found.append(1 - sum(x * y for x, y in pairs) / math.hypot(*output) / math.hypot(*target))
            continue
        each = {
            "mse": [(x - y) ** 2 for x, y in pairs],
            "l1": [abs(x - y) for x, y in pairs],
            "binary_cross_entropy": [math.log1p(math.exp(x)) - x * y for x, y in pairs],
        }[name]
        found.append(sum(each) / len(each))
    return found


@pytest.mark.parametrize("name", LOSSES)
def test_it_is_the_loop(name: str) -> None:
    torch.manual_seed(0)
    outputs, targets = torch.randn(5, 4, dtype=torch.float64), torch.rand(5, 4, dtype=torch.float64)
    expected = torch.tensor(by_hand(name, outputs, targets), dtype=torch.float64)
    torch.testing.assert_close(LOSSES[name](outputs, targets), expected, rtol=1e-12, atol=1e-12)  # orders of sums


@pytest.mark.parametrize("name", LOSSES)
def test_positions_are_averaged(name: str) -> None:
    torch.manual_seed(0)
    outputs, targets = torch.randn(2, 3, 2, 2), torch.rand(2, 3, 2, 2)
    of_positions = [LOSSES[name](outputs[:, :, i, j], targets[:, :, i, j]) for i in range(2) for j in range(2)]
    torch.testing.assert_close(LOSSES[name](outputs, targets), torch.stack(of_positions).mean(0))


def test_an_axis_of_one_may_be_missing() -> None:
    outputs = torch.tensor([[1.0], [2.0]])
    assert LOSSES["mse"](outputs, torch.tensor([1, 0])).tolist() == [0.0, 4.0]


@pytest.mark.parametrize("name", LOSSES)
def test_both_shapes_are_named(name: str) -> None:
    words = rf"targets of shape \(2, 3\) do not fit outputs of shape \(2, 4\): the loss '{name}' wants one number"
    with pytest.raises(InputError, match=words):
        LOSSES[name](torch.zeros(2, 4), torch.zeros(2, 3))
    with pytest.raises(InputError, match=rf"targets: the loss '{name}' wants a tensor, got list"):
        LOSSES[name](torch.zeros(2, 4), [0, 1])  # type: ignore[arg-type]


def test_what_is_no_yes_or_no_is_refused() -> None:
    with pytest.raises(InputError, match=r"targets run from -1 to 2; the loss 'binary_cross_entropy' wants 0 and 1"):
        LOSSES["binary_cross_entropy"](torch.zeros(1, 2), torch.tensor([[-1.0, 2.0]]))
