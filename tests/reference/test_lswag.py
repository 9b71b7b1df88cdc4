"""L-SWAG by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from lswag_fast import reference


def test_trainability_is_the_logarithm_of_the_sum() -> None:
    gradients = torch.tensor([[1.0, 0.0], [3.0, 4.0]])
    assert reference.trainability(gradients) == pytest.approx(math.log(1.0 + 0.5))


@pytest.mark.parametrize(
    ("n_samples", "n_neurons", "expected"), [(64, 1024, 12), (64, 1025, 13), (8, 1024, 8), (64, 1, 2)]
)
def test_n_pattern_samples(n_samples: int, n_neurons: int, expected: int) -> None:
    assert reference.n_pattern_samples(n_samples, n_neurons) == expected


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
