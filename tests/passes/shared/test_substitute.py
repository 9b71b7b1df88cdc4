"""Other tensors stand for parameters and buffers during one call, and for no longer."""

from __future__ import annotations

import torch
from torch import nn

from lswag_fast.passes.shared.substitute import call_with
from support.snapshot import assert_unchanged, snapshot


def test_named_tensors_stand_in_and_the_others_stay() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).eval()
    before = snapshot(model)
    weight = torch.full((2, 2), 3.0)
    found = call_with(model, {"0.weight": weight, "1.running_mean": torch.ones(2)}, lambda m, x: m(x), torch.ones(4, 2))
    assert_unchanged(model, before)
    expected = (6 + model[0].bias - 1) / (1 + model[1].eps) ** 0.5
    torch.testing.assert_close(found, expected.expand(4, 2), rtol=1e-6, atol=0)  # float32 roundings of one division


def test_gradients_reach_the_tensors_that_stand_in() -> None:
    model, weight = nn.Linear(2, 1), torch.ones(1, 2, requires_grad=True)
    call_with(model, {"weight": weight}, lambda m, x: m(x).sum(), torch.full((3, 2), 2.0)).backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [[6.0, 6.0]]
    assert model.weight.grad is None
