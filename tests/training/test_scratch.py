"""Networks trained from drawn weights, and a table of them that goes on where it stopped."""

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from lswag_fast.errors import InputError, StorageError
from lswag_fast.spaces.building import network_builder
from lswag_fast.training.accuracy import Accuracy, accuracy
from lswag_fast.training.drawing import draw_by_size
from lswag_fast.training.recipe import RECIPES
from lswag_fast.training.scratch import ScratchTrainer, retrain
from training.small_space import SPACE, digits

ARCHS = draw_by_size(SPACE, 4)
RECIPE = RECIPES["short"].with_changes(epochs=1)


class ByWidth:
    """The accuracy of a network is its width; `stops_at` is the training during which a signal comes."""

    def __init__(self, stops_at=None, epochs=1):
        self.stops_at, self.epochs, self.folders = stops_at, epochs, []

    def __call__(self, arch, folder, seed):
        if len(self.folders) == self.stops_at:
            return None
        self.folders.append(folder.name)
        return SimpleNamespace(validation=Accuracy(arch["embed_dim"], 50), test=None)

    def settings(self):
        return {"epochs": self.epochs}


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_has_the_accuracy_on_the_validation_images(tmp_path):
    assert retrain(ARCHS, SPACE, ByWidth(), tmp_path / "a.csv")
    rows = rows_of(tmp_path / "a.csv")
    assert [row["arch"] for row in rows] == ARCHS
    for row in rows:
        expected = Accuracy(SPACE.decode(row["arch"])["embed_dim"], 50)
        found = [float(row[f"retrained_accuracy{end}"]) for end in ("", "_low", "_high")]
        assert found == [expected.value, *expected.interval]


def test_it_goes_on_where_it_stopped(tmp_path):
    out = tmp_path / "a.csv"
    assert not retrain(ARCHS, SPACE, ByWidth(stops_at=2), out)
    second = ByWidth()
    assert retrain(ARCHS, SPACE, second, out)
    assert second.folders == ["2", "3"]
    retrain(ARCHS, SPACE, ByWidth(), tmp_path / "whole.csv")
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    with pytest.raises(StorageError, match=r"other settings: training.epochs"):
        retrain(ARCHS, SPACE, ByWidth(epochs=2), out)


def test_a_training_begins_with_weights_drawn_from_the_seed(tmp_path):
    images, arch = digits(), SPACE.decode(ARCHS[0])
    train = ScratchTrainer(SPACE, images, RECIPE, "mymodule", "mymodule.make()")
    random_state = torch.get_rng_state()
    found = train(arch, tmp_path / "one", seed=1)
    again = train(arch, tmp_path / "two", seed=1)
    other = train(arch, tmp_path / "three", seed=2)
    assert torch.equal(torch.get_rng_state(), random_state)
    states = [trained.model.state_dict() for trained in (found, again, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["head.weight"], states[2]["head.weight"])
    start = network_builder(SPACE, "fresh", 1)(arch).state_dict()
    assert not torch.equal(states[0]["head.weight"], start["head.weight"])
    assert found.test == accuracy(found.model, images.test)
    unseen = replace(train, with_test=False)(arch, tmp_path / "unseen", seed=1)
    assert (unseen.validation, unseen.test) == (found.validation, None)
    assert json.loads((tmp_path / "unseen" / "result.json").read_text())["test"] is None
    assert train(arch, tmp_path / "unseen", seed=1).test == found.test  # measured once it is asked for
    assert found.lines[1] == f"model = mymodule.make().build({arch!r})"


def test_a_recipe_that_does_not_fit_is_refused_before_anything_is_searched():
    with pytest.raises(InputError, match="batch_size: 2000 is more than the 1439 images to train on"):
        ScratchTrainer(SPACE, digits(), RECIPE.with_changes(batch_size=2000), "mymodule", "mymodule.make()")
