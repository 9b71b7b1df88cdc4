"""The initialisations of networks."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lswag_fast import score, score_many
from lswag_fast.errors import InputError, LswagWarning
from lswag_fast.passes.shared.initialisation import INITIALISATIONS, initialise
from support.snapshot import assert_unchanged, snapshot


@pytest.mark.parametrize("name", [name for name in INITIALISATIONS if name != "rescue"])
def test_initialisations(name: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(8, 64, 3), nn.BatchNorm2d(64), nn.Linear(64, 64))
    before = [p.detach().clone() for p in model.parameters()]
    state = torch.get_rng_state()
    assert initialise(model, name, 1) is model
    assert torch.equal(state, torch.get_rng_state())
    standard_deviations = {"kaiming": (2 / 72) ** 0.5, "xavier": (2 / (72 + 64 * 9)) ** 0.5, "normal": 0.02}
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


@pytest.mark.parametrize("name", ["kaiming", "xavier", "normal", "rescue"])
def test_the_network_is_scored_with_the_drawn_weights_and_gets_its_own_back(name: str) -> None:
    model, batch = switched_off(), (torch.randn(6, 3, 4, 4), torch.arange(6) % 3)
    drawn = initialise(copy.deepcopy(model), name, 3, batch[0])
    options: dict[str, Any] = {"proxies": ["grad_norm", "snip", "grasp", "l2_norm"], "seed": 3}
    before = snapshot(model)
    found = score_many(model, batch, init=name, **options)
    assert_unchanged(model, before)
    expected = {proxy: one.value for proxy, one in score_many(drawn, batch, **options).items()}
    assert {proxy: one.value for proxy, one in found.items()} == pytest.approx(expected, nan_ok=True)
    assert found["snip"].options["init"] == name

    def failing(outputs: Tensor, targets: Tensor) -> Tensor:
        raise RuntimeError("a loss of the user's")

    with pytest.raises(RuntimeError, match="a loss of the user's"):
        score(model, batch, init=name, loss_fn=failing)
    assert_unchanged(model, before)


class Branch(nn.Module):
    """A branch behind a scale of its own, a vector or a number."""

    def __init__(self, gamma: Tensor) -> None:
        super().__init__()
        self.conv, self.norm, self.gamma = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Parameter(gamma)
        self.offset = nn.Parameter(torch.zeros(1, 4, 1, 1))  # added: no scale

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gamma.view(-1, 1, 1) * torch.relu(self.norm(self.conv(x))) + self.offset


def switched_off() -> nn.Module:
    """Scales of layers that are small or zero, a last norm that is zero, and a head that is zero."""
    torch.manual_seed(0)
    branches = Branch(torch.full((4,), 1e-5)), Branch(torch.zeros(1))
    nn.init.zeros_(branches[0].norm.weight)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), *branches, nn.Flatten(), nn.Linear(16, 3)).eval()
    nn.init.zeros_(model[4].weight)
    return model


def test_a_rescue_sets_what_is_switched_off_and_nothing_else() -> None:
    model = switched_off()
    model[1].norm.running_mean.fill_(0.25)
    before = {name: p.detach().clone() for name, p in model.state_dict().items()}
    initialise(model, "rescue", 0, torch.randn(2, 3, 4, 4))
    changed = [name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])]
    assert changed == ["1.gamma", "1.norm.weight", "2.gamma", "4.weight"]
    assert all(bool((model.state_dict()[name] == 1).all()) for name in changed[:3])
    assert model[4].weight.std() > 0
    assert not model.training


def test_a_rescued_network_has_gradients_everywhere() -> None:
    batch = torch.randn(6, 3, 4, 4), torch.arange(6) % 3
    with pytest.warns(LswagWarning, match=r"in 3 of 4 layers .* init='rescue'"):
        lost = score(switched_off(), batch, pattern_samples=6)
    found = score(switched_off(), batch, pattern_samples=6, init="rescue")  # without a warning
    n_varying = [sum(layer.trainability > float("-inf") for layer in one.layers) for one in (lost, found)]
    assert n_varying == [1, 4]


def test_a_number_that_is_not_zero_may_be_a_temperature() -> None:
    model = nn.Sequential(Branch(torch.tensor([0.5])))
    initialise(model, "rescue", 0, torch.randn(2, 4, 4, 4))
    assert model[0].gamma.item() == 0.5


@pytest.mark.parametrize("wrap", [nn.utils.parametrizations.weight_norm, nn.utils.weight_norm])
def test_a_computed_weight_cannot_be_drawn(wrap: Any) -> None:
    with pytest.raises(InputError, match="init: 0 computes its weight"):
        initialise(nn.Sequential(wrap(nn.Linear(3, 2))), "kaiming", 0)


def test_a_rescue_needs_inputs() -> None:
    with pytest.raises(InputError, match="needs inputs"):
        initialise(nn.Linear(3, 2), "rescue", 0)
