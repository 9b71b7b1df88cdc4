"""Inherited accuracy: that of the network built from shared weights, on the validation images; BatchNorm anew."""

import random
from dataclasses import replace

import pytest
import torch
from torch import nn

from lswag_fast import search, spaces
from lswag_fast.data.splits import split_images
from lswag_fast.errors import InputError
from lswag_fast.observe.operations import products
from lswag_fast.options import function_name
from lswag_fast.training.inherited import InheritedAccuracy, inherited_accuracy_job
from training.small_space import LOUD_WEIGHTS, SPACE, digits, plain_accuracy


def test_the_job_measures_the_validation_images_with_the_weights_given():
    images = digits()
    job = inherited_accuracy_job(SPACE, LOUD_WEIGHTS, images)
    for seed in range(3):
        arch = SPACE.sample(random.Random(seed))
        expected = plain_accuracy(arch, *images.validation.tensors())
        assert job(SPACE.encode(arch)) == {"score": expected}


def test_fewer_images():
    images = digits()
    job = inherited_accuracy_job(SPACE, LOUD_WEIGHTS, images, n_images=50)
    arch = SPACE.sample(random.Random(0))
    assert job(SPACE.encode(arch)) == {"score": plain_accuracy(arch, *images.validation.tensors(50))}


def test_linear_layers_multiply_as_in_a_score(monkeypatch):
    made, linear = [], products.linear
    monkeypatch.setattr(products, "linear", lambda *operands: made.append(operands) or linear(*operands))
    images = digits()
    arch = SPACE.sample(random.Random(0))
    inherited_accuracy_job(SPACE, LOUD_WEIGHTS, images, n_images=50)(SPACE.encode(arch))
    layers = [layer for layer in SPACE.build(arch, LOUD_WEIGHTS).modules() if type(layer) is nn.Linear]
    assert len(made) == len(layers)  # 50 images are one batch


def test_batch_norm_is_calibrated_on_the_training_images():
    images = digits()
    calibration, _ = images.train.tensors(200)
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(192, 10))
    InheritedAccuracy(calibration, batch_size=200)(model, images.validation.tensors())
    torch.testing.assert_close(model[0].running_mean, calibration.mean((0, 2, 3)))


def test_a_search_by_it_finds_the_best_of_its_trials():
    images = digits()
    job = inherited_accuracy_job(SPACE, LOUD_WEIGHTS, images, n_images=60)
    result = search(SPACE, job.batch, proxy=job.function, weights=job.weights, n_trials=6, n_threads=1)
    expected = [plain_accuracy(trial.arch, *images.validation.tensors(60)) for trial in result.trials]
    assert [trial.score for trial in result.trials] == expected
    assert result.best.score == max(expected)


def test_its_name_in_the_settings():
    assert function_name(InheritedAccuracy(torch.zeros(3))) == "inherited_accuracy"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"image_size": 16}, r"the images are \(3, 8, 8\), the networks of autoformer take \(3, 16, 16\)"),
        ({"num_classes": 9}, "the images have 10 classes, the networks of autoformer tell 9 apart"),
    ],
)
def test_images_that_do_not_fit(changed, message):
    choices = {"embed_dim": 16, "depth": 1, "num_heads": 1, "mlp_ratio": 2, "patch_size": 4}
    space = spaces.AutoFormer(**choices, **{"image_size": 8, "num_classes": 10, **changed})
    with pytest.raises(InputError, match=message):
        inherited_accuracy_job(space, space.init_weights(0), split_images("digits", image_size=8))


def test_threads_are_those_asked_for():
    job = inherited_accuracy_job(SPACE, LOUD_WEIGHTS, digits(), n_threads=1)
    assert replace(job).n_threads == 1
