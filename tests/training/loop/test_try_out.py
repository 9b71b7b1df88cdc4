"""The first batch before there is a folder: what is refused, and that it leaves no trace in what is trained."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lswag_fast.errors import InputError, LswagError, NetworkFailedError, NonFiniteOutputError
from lswag_fast.training.loop import in_folder
from lswag_fast.training.loop.loop import Task
from lswag_fast.training.loop.runtime import Runtime
from lswag_fast.training.loop.try_out import try_out
from lswag_fast.training.network import Origin, train_network
from training.runs import N_CLASSES, RECIPE, splits_of

PLAIN = RECIPE.with_changes(epochs=2, drop_path=0.0)


def train(model: nn.Module, folder: Path, images: Path, **changes: Any) -> None:
    recipe, origin = PLAIN.with_changes(**changes), Origin("mine", "mine.make()")
    assert train_network(model, origin, splits_of(images), folder, recipe=recipe, runtime=Runtime("cpu"))


def line() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(192, N_CLASSES))


class Counting(nn.Module):
    """What a call in train mode changes: statistics, a buffer that is replaced and one that is new, attributes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.norm, self.layer, self.frozen = nn.BatchNorm2d(3), line(), nn.BatchNorm2d(3).eval()
        self.register_buffer("n_calls", torch.zeros(()))
        self.n_images = 0
        self.was_told_all: bool | None = None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layer(self.frozen(self.norm(images)))
        if not self.training:
            return logits
        self.n_calls = self.n_calls + 1
        self.n_images += len(images)
        self.was_told_all = True
        self.register_buffer("made", torch.rand(1) + random.random())
        return logits + nn.functional.dropout(logits) / self.n_images


def test_the_module_and_the_random_state_are_left_as_they_were(images: Path) -> None:
    model, splits = Counting(), splits_of(images)
    modes = [module.training for module in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    before = random.getstate(), torch.get_rng_state()
    task = Task(model, splits.train, N_CLASSES, splits.mean, splits.std, PLAIN, measure=lambda kept: {})
    try_out(task, Runtime("cpu"), Runtime("cpu").open())
    assert [module.training for module in model.modules()] == modes
    assert list(model.state_dict()) == list(state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert (model.n_images, model.was_told_all) == (0, None)
    assert random.getstate() == before[0] and torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
@pytest.mark.parametrize("make", [Counting, lambda: torch.jit.script(nn.Sequential(nn.BatchNorm2d(3), line()))])
def test_the_trained_weights_are_those_without_it(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[], nn.Module]
) -> None:
    for name in ("with", "without"):
        torch.manual_seed(0)
        train(make(), tmp_path / name, images)
        monkeypatch.setattr(in_folder, "try_out", lambda *given: None)
    tried, expected = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("with", "without"))
    assert tried == expected


class Odd(nn.Module):
    """Logits that a function changes, which is told whether it is in train mode."""

    def __init__(self, change: Callable[[torch.Tensor, bool], Any]) -> None:
        super().__init__()
        self.layer, self.change = line(), change

    def forward(self, images: torch.Tensor) -> Any:
        return self.change(self.layer(images), self.training)


class WithState(nn.Flatten):
    def get_extra_state(self) -> dict[str, int]:
        return {"n": 1}


class WithLogits(WithState):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images)[:, :N_CLASSES]


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (line().requires_grad_(False), InputError, "the network has no parameter to train that its logits depend on"),
        (Odd(lambda logits, trains: logits.detach()), InputError, "has no parameter to train"),
        (
            nn.Sequential(nn.Flatten(), nn.BatchNorm1d(192), nn.Linear(192, 3)),
            NetworkFailedError,
            r"fails in train mode on images of shape \(1, 3, 8, 8\): ValueError: Expected more than 1 value",
        ),
        (Odd(lambda logits, trains: (logits, logits) if trains else logits), InputError, "returns tuple for 1 images"),
        (
            Odd(lambda logits, trains: logits if trains else logits / 0),
            NonFiniteOutputError,
            "the network's outputs are NaN or infinite for 1 of 1 images",
        ),
        (
            nn.Sequential(WithState(), nn.Linear(192, 3)),
            InputError,
            r"the module '0' has a state of type dict \(get_extra_state\), and a training stores tensors only",
        ),
        (WithLogits(), InputError, "the network itself has a state of type dict"),
    ],
)
def test_what_cannot_be_trained_leaves_no_folder(
    tmp_path: Path, images: Path, model: nn.Module, error: type[LswagError], message: str
) -> None:
    with pytest.raises(error, match=message):
        train(model, tmp_path / "runs" / "one", images, batch_size=1)
    assert not (tmp_path / "runs").exists()
    assert model.training


def test_a_batch_is_as_large_as_that_of_a_step(tmp_path: Path, images: Path) -> None:
    sizes: list[int] = []
    model = Odd(lambda logits, trains: sizes.append(len(logits)) or logits)
    train(model, tmp_path / "run", images, epochs=1, batch_size=24)
    assert sizes[:5] == [1, 24, 24, 24, 24]  # one image; tried in both modes; the two steps
