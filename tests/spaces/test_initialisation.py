"""The initialisations of networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lswag_fast.errors import InputError
from lswag_fast.spaces.initialisation import INITIALISATIONS, initialise


@pytest.mark.parametrize("name", INITIALISATIONS)
def test_initialisations(name: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(8, 64, 3), nn.BatchNorm2d(64), nn.Linear(64, 64))
    before = [p.detach().clone() for p in model.parameters()]
    state = torch.get_rng_state()
    assert initialise(model, name, 1) is model
    assert torch.equal(state, torch.get_rng_state())
    standard_deviations = {"kaiming": (2 / 72) ** 0.5, "xavier": (2 / (72 + 64 * 9)) ** 0.5, "gaussian": 0.02}
    if name == "own":
        assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
        return
    assert model[0].weight.std().item() == pytest.approx(standard_deviations[name], rel=0.05)  # 4,608 draws: about 1 %
    assert not model[0].bias.any()
    assert not model[2].bias.any()
    assert torch.equal(before[2], model[1].weight)


def test_an_unknown_initialisation() -> None:
    with pytest.raises(InputError, match="init must be one of own, kaiming"):
        initialise(nn.Linear(2, 2), "lecun", 0)
