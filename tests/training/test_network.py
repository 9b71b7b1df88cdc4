"""Training one network: what is measured, written, continued and refused."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from lswag_fast.errors import InputError, NetworkFailedError, OtherSettingsError, StorageError
from lswag_fast.execution import Interrupts
from lswag_fast.training.loop.runtime import Runtime
from lswag_fast.training.network import Origin, TrainedNetwork, train_network
from lswag_fast.training.recipe import RECIPES
from training.runs import SPACE, WEIGHTS, splits_of

ORIGIN = Origin("mine", "mine.make()", {"factory": "mine:make"})
RECIPE = RECIPES["short"].with_changes(epochs=6, batch_size=16, lr=0.01)


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))


def trained(folder: Path, images: Path, model: nn.Module | None = None, **options: object) -> TrainedNetwork | None:
    given = {"recipe": RECIPE, "runtime": Runtime("cpu"), **options}
    return train_network(model or network(), ORIGIN, splits_of(images), folder, **given)  # type: ignore[arg-type]


def test_is_measured_on_the_splits_that_it_was_not_trained_on(tmp_path: Path, images: Path) -> None:
    model = network()
    found = trained(tmp_path / "run", images, model)
    assert found is not None and found.model is model and not model.training
    splits = splits_of(images)
    for split, accuracy in ((splits.validation, found.validation), (splits.test, found.test)):
        right = [int(model(image[None])[0].argmax()) == label for image, label in (split[i] for i in range(len(split)))]
        assert (accuracy.correct, accuracy.n) == (sum(right), len(right))
    assert found.validation.value > 0.8  # brightness tells the class; a third by chance
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["test"]["accuracy"] == found.test.value and result["test"]["interval"] == list(found.test.interval)
    assert len(found.epochs) == RECIPE.epochs


def test_the_log_measures_the_running_mean_where_it_is_what_is_kept(tmp_path: Path, images: Path) -> None:
    found = trained(tmp_path / "run", images, recipe=RECIPE.with_changes(ema=0.99))
    assert found is not None
    # The mean has hardly left the initial weights, and the raw weights tell most of the images right.
    assert found.epochs[-1]["validation_accuracy"] == found.validation.value < 0.8


def test_batch_norm_and_all_continue_with_the_same_bits(tmp_path: Path, images: Path) -> None:
    assert trained(tmp_path / "whole", images) is not None
    for _ in range(2):
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGTERM)
            assert trained(tmp_path / "run", images, interrupts=interrupts) is None
    assert trained(tmp_path / "run", images) is not None
    whole, continued = ((tmp_path / name / WEIGHTS).read_bytes() for name in ("whole", "run"))
    assert whole == continued


def test_tied_weights_come_back(tmp_path: Path, images: Path) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 192), nn.Linear(192, 192), nn.Linear(192, 3))
    model[2].weight = model[1].weight
    found = trained(tmp_path / "run", images, model, recipe=RECIPE.with_changes(epochs=1))
    assert found is not None and model[2].weight is model[1].weight


def test_drop_path_ends_with_the_training(tmp_path: Path, images: Path) -> None:
    model = SPACE.build(SPACE.extremes()[1])
    recipe = RECIPE.with_changes(epochs=1, drop_path=0.5)
    assert trained(tmp_path / "run", images, model, recipe=recipe) is not None
    assert not any(module._forward_hooks for module in model.modules())
    with pytest.raises(InputError, match="drop_path: Sequential does not list its residual branches"):
        trained(tmp_path / "other", images, recipe=recipe)
    assert not (tmp_path / "other").exists()


def test_other_initial_weights_are_refused(tmp_path: Path, images: Path) -> None:
    assert trained(tmp_path / "run", images, recipe=RECIPE.with_changes(epochs=1)) is not None
    with pytest.raises(OtherSettingsError, match=r"network\.initial_weights was"):
        trained(tmp_path / "run", images, network(1), recipe=RECIPE.with_changes(epochs=1))


def test_a_damaged_result_is_named(tmp_path: Path, images: Path) -> None:
    recipe = RECIPE.with_changes(epochs=1)
    assert trained(tmp_path / "run", images, recipe=recipe) is not None
    (tmp_path / "run" / "result.json").write_text("{")
    with pytest.raises(StorageError, match=r"result\.json cannot be read .*; delete it to have it made again"):
        trained(tmp_path / "run", images, recipe=recipe)


def test_a_network_that_fits_nothing_is_left_as_it_was(tmp_path: Path, images: Path) -> None:
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(192), nn.Linear(192, 2))
    with pytest.raises(InputError, match="the network has 2 logits, and the images 3 classes"):
        trained(tmp_path / "run", images, model)
    assert model.training and not model[1].running_mean.any()


def test_a_network_that_fails_on_the_images_leaves_no_folder(tmp_path: Path, images: Path) -> None:
    class Two(nn.Linear):
        def forward(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
            return images

    with pytest.raises(NetworkFailedError, match=r"fails on an image of shape \(3, 8, 8\): TypeError: .*'masks'"):
        trained(tmp_path / "run", images, Two(2, 2))
    assert not (tmp_path / "run").exists()
