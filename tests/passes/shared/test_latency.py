"""Measuring a network's time."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from lswag_fast.passes.shared.latency import REPEATS, WARM_UP, measure_latency_ms


class Clock:
    """A clock that a network moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Takes(nn.Module):
    """Takes so many seconds, one after the other."""

    def __init__(self, clock: Clock, seconds: list[float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.clock, self.seconds = clock, list(seconds)
        self.seen: list[tuple[tuple[int, ...], torch.dtype, bool, bool]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append((tuple(x.shape), x.dtype, self.training, torch.is_grad_enabled()))
        self.clock.now += self.seconds.pop(0)
        return x * self.weight


def test_the_median_of_the_passes_after_the_first_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    seconds = [9.0] * WARM_UP + [0.004] * (REPEATS // 2) + [0.005] + [2.0] * (REPEATS // 2)
    model = Takes(clock, seconds)
    assert measure_latency_ms(model, torch.zeros(1, 3, 4, 5)) == pytest.approx(5.0)  # float64 rounding of the clock
    assert model.seconds == []
    assert set(model.seen) == {((1, 3, 4, 5), torch.float64, False, False)}
