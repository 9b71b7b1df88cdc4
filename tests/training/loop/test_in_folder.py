"""A training and its folder: what is stored of it, and what is left after a refusal and a signal."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from lswag_fast.errors import InputError
from lswag_fast.execution import Interrupts
from lswag_fast.training.loop.in_folder import trained_in_folder
from lswag_fast.training.loop.loop import Task
from lswag_fast.training.loop.runtime import Runtime
from lswag_fast.training.recipe import Recipe
from training.runs import N_CLASSES, RECIPE, splits_of

PLAIN = RECIPE.with_changes(epochs=1, drop_path=0.0)


def train(
    folder: Path, images: Path, recipe: Recipe = PLAIN, interrupts: Interrupts | None = None
) -> dict[str, object]:
    splits = splits_of(images)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, N_CLASSES))
    task = Task(network, splits.train, N_CLASSES, splits.mean, splits.std, recipe, seed=3)
    options = {"runtime": Runtime("cpu"), "interrupts": interrupts, "metadata": {"by": "me"}}
    with trained_in_folder(task, folder, {"kind": "line"}, splits, named=lambda name: f"a.{name}", **options) as found:
        return {} if found is None else found.weights()


def test_the_weights_have_the_names_that_were_asked_for_and_the_settings_all_that_decides(
    tmp_path: Path, images: Path
) -> None:
    assert set(train(tmp_path / "run", images)) == {"a.1.weight", "a.1.bias"}
    settings = json.loads((tmp_path / "run" / "settings.json").read_bytes())
    splits = splits_of(images)
    expected = {
        "schema_version": 1,
        "kind": "line",
        "data": splits.to_dict(),
        "recipe": PLAIN.to_dict(),
        "seed": 3,
        "runtime": {"device": "cpu", "precision": "float32", "processes": 1},
        "metadata": {"by": "me"},
    }
    assert settings == json.loads(json.dumps(expected))


def test_after_a_signal_there_are_no_weights_and_the_same_call_continues(tmp_path: Path, images: Path) -> None:
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGTERM)
        assert train(tmp_path / "run", images, interrupts=interrupts) == {}
    continued, whole = train(tmp_path / "run", images), train(tmp_path / "whole", images)
    assert all(torch.equal(continued[name], whole[name]) for name in whole)


def test_what_does_not_fit_leaves_no_folder(tmp_path: Path, images: Path) -> None:
    with pytest.raises(InputError, match="batch_size: 64 is more than the 48 images to train on"):
        train(tmp_path / "run", images, PLAIN.with_changes(batch_size=64))
    assert not (tmp_path / "run").exists()
