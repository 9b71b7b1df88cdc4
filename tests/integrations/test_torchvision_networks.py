"""`torchvision:NAME`, against what torchvision makes itself."""

from __future__ import annotations

import warnings

import pytest
import torch

from lswag_fast.errors import InputError
from lswag_fast.integrations import ImageInputs, named_network
from support.offline import refuse_network
from support.zoo_libraries import library

models = library("torchvision").models


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_network(monkeypatch)


def test_it_is_the_network_that_torchvision_makes() -> None:
    found = named_network("torchvision:mnasnet0_5", seed=3)
    torch.manual_seed(3)
    expected = models.mnasnet0_5()
    assert all(torch.equal(a, b) for a, b in zip(found.model.parameters(), expected.parameters(), strict=True))
    assert (found.inputs, found.num_classes) == (ImageInputs(224, 3), 1000)
    assert found.model.training


@pytest.mark.parametrize(("name", "size"), [("inception_v3", 299), ("efficientnet_b1", 240)])
def test_the_published_weights_say_how_large_the_images_are(
    name: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "get_model", lambda *_, **__: torch.nn.Identity())  # to build it takes seconds
    assert named_network(f"torchvision:{name}").inputs == ImageInputs(size, 3)


@pytest.mark.parametrize(("name", "side"), [("vit_b_32", 32), ("maxvit_t", 224), ("squeezenet1_1", 32)])
def test_classes_and_size_are_those_that_are_asked_for(name: str, side: int) -> None:
    found = named_network(f"torchvision:{name}", num_classes=7, image_size=side)
    assert found.inputs == ImageInputs(side, 3)
    assert found.model.eval()(torch.zeros(1, 3, side, side)).shape == (1, 7)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_no_warning_of_an_initialisation_to_come(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        assert named_network(f"torchvision:{name}", num_classes=3).num_classes == 3


@pytest.mark.parametrize(("name", "near"), [("resnet19", "resnet18"), ("deeplabv3_resnet50", "wide_resnet50_2")])
def test_what_is_no_classifier_is_answered_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(
        InputError, match=f"torchvision has no classifier of images named '{name}'; the nearest .*{near}"
    ):
        named_network(f"torchvision:{name}")
