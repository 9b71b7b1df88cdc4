"""`timm:NAME`, against what timm makes itself."""

from __future__ import annotations

import pytest
import torch

from lswag_fast.errors import InputError
from lswag_fast.integrations import ImageInputs, named_network
from support.offline import refuse_network
from support.zoo_libraries import library

timm = library("timm")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_network(monkeypatch)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "resnet10t.c3_in1k"])
def test_it_is_the_network_that_timm_makes(name: str) -> None:
    found = named_network(f"timm:{name}", seed=3)
    torch.manual_seed(3)
    expected = timm.create_model(name.partition(".")[0])
    assert type(found.model) is type(expected)
    assert all(torch.equal(a, b) for a, b in zip(found.model.parameters(), expected.parameters(), strict=True))
    assert found.model.training


def test_the_configuration_says_how_large_the_images_are() -> None:
    sizes = {name: named_network(f"timm:{name}").inputs for name in ("resnet10t", "vit_tiny_patch16_384")}
    assert sizes == {"resnet10t": ImageInputs(176, 3), "vit_tiny_patch16_384": ImageInputs(384, 3)}


def test_classes_and_size_are_those_that_are_asked_for() -> None:
    transformer = named_network("timm:vit_tiny_patch16_224", num_classes=7, image_size=32)
    convolutional = named_network("timm:resnet10t", num_classes=7, image_size=32)
    for found in (transformer, convolutional):
        assert (found.inputs, found.num_classes) == (ImageInputs(32, 3), 7)
        assert found.model(torch.zeros(2, 3, 32, 32)).shape == (2, 7)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match="named 'vit_tiny_patch16_225'; the nearest are vit_tiny_patch16_224, "):
        named_network("timm:vit_tiny_patch16_225")
    with pytest.raises(InputError, match="timm has no classifier of images named 'hf-hub:timm/resnet18'"):
        named_network("timm:hf-hub:timm/resnet18")


def test_features_without_a_classifier_want_a_number_of_classes() -> None:
    name = "timm:vit_small_patch14_dinov2"
    with pytest.raises(InputError, match=rf"{name} has no classifier of its own; say how many classes \(--num-classes"):
        named_network(name, image_size=28)
    assert named_network(name, image_size=28, num_classes=4).num_classes == 4
