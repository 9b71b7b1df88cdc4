"""The small network and batch of the input contract's tests, scored with a look at what is left behind."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import lswag_fast
from lswag_fast import Score
from support.oracle import SHOWN
from support.snapshot import assert_unchanged, snapshot

B = 6
X = torch.randn(B, 5, generator=torch.Generator().manual_seed(0))
Y = torch.arange(B) % 3


def mlp() -> nn.Sequential:
    """Two linear layers, the same weights each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))


def score(model: nn.Module, batch: Any = (X, Y), **options: Any) -> Score:
    """Score, and see to it that the model and the process are left as they were, also by an exception."""
    before = snapshot(model)
    try:
        return lswag_fast.score(model, batch, **{"pattern_samples": SHOWN, **options})
    finally:
        assert_unchanged(model, before)
