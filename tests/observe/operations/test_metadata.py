"""Weights that are asked for their dtype, device or shape are still observed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from support.observing import observed

B = 4


class Asked(nn.Module):
    def __init__(self, ask: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.ask = nn.Linear(6, 6), ask

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.layer(self.ask(x, self.layer.weight)))


@pytest.mark.parametrize(
    "ask",
    [
        lambda x, w: x.type_as(w), lambda x, w: x.to(w), lambda x, w: x.to(w.dtype), lambda x, w: x.to(w.device),
        lambda x, w: x + w.new_zeros(6), lambda x, w: x + torch.zeros_like(w)[0], lambda x, w: x + w.new_tensor([1.0]),
        lambda x, w: x + torch.zeros(36, dtype=w.dtype).view_as(w)[0], lambda x, w: x[:, : w.shape[1]],
        lambda x, w: x * w.size(0) / w.numel(), lambda x, w: x + torch.full_like(w, 2.0)[0],
    ],
)  # fmt: skip
def test_asking_a_weight_for_its_kind_is_no_use_of_it(ask: Callable[[Tensor, Tensor], Tensor]) -> None:
    observation, _ = observed(Asked(ask), torch.randn(B, 6), B)
    assert [weight.name for weight in observation.weights] == ["layer.weight"]


def test_its_values_are_a_use() -> None:
    observation, _ = observed(Asked(lambda x, w: x + w.to(torch.float64)[0].type_as(x)), torch.randn(B, 6), B)
    assert "used by to" in {skip.name: skip.reason for skip in observation.skipped}["layer.weight"]
