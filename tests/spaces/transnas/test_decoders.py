"""The decoders: their layers as published, and what they put out."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from lswag_fast.spaces.transnas.decoders import decoder, image_layers, segmentation_layers


@pytest.mark.parametrize("doublings", range(2, 7))
def test_of_segmentation(doublings: int) -> None:
    """1,024 channels, halved by convolutions and then by transposed ones, of which the last keeps them."""
    kinds = [(layer.channels, layer.doubles) for layer in segmentation_layers(512, 64, doublings, 17)]
    widths = [1024, 512, 256, 128, 64, 32]
    plain, doubling = widths[: 7 - doublings], widths[7 - doublings :]
    assert kinds == [*((w, False) for w in plain), *((w, True) for w in doubling), (32, True), (17, False)]


@pytest.mark.parametrize("doublings", range(2, 7))
def test_of_images(doublings: int) -> None:
    """Places 13, 11, 9, 7, 5 and 3 double, the last ones first."""
    layers = image_layers(512, 64, doublings, 3)
    assert [place for place, layer in enumerate(layers, 1) if layer.doubles] == [13, 11, 9, 7, 5, 3][:doublings][::-1]


def test_parameters_by_hand() -> None:
    """Of 512 features: weights, a bias each, and two numbers of a BatchNorm but for the last layer."""
    ends = [512, 1024, 512, 256, 128, 64, 32, 32]
    expected = sum(9 * a * b + 3 * b for a, b in pairwise(ends)) + 9 * 32 * 17 + 17
    assert sum(layer.n_params() for layer in segmentation_layers(512, 64, 5, 17)) == expected
    ends = [512, 1024, 1024, 512, 512, 256, 128, 64, 64, 32, 32, 16, 32, 16]
    expected = sum(9 * a * b + 3 * b for a, b in pairwise(ends)) + 9 * 16 * 3 + 3
    assert sum(layer.n_params() for layer in image_layers(512, 64, 5, 3)) == expected


@pytest.mark.parametrize(
    "layers", [segmentation_layers(8, 8, 3, 5), image_layers(8, 8, 3, 5)], ids=["classes", "image"]
)
def test_they_are_built_as_they_are_listed(layers: list) -> None:
    net = decoder(layers, nn.Tanh()).eval()
    assert sum(p.numel() for p in net.parameters()) == sum(layer.n_params() for layer in layers)
    with torch.no_grad():
        out = net(torch.randn(2, 8, 2, 2))
    assert out.shape == (2, 5, 16, 16) and out.abs().max() <= 1
    assert [type(module) for module in net[-2:]] == [nn.Conv2d, nn.Tanh]
    slopes = {module.negative_slope for module in net if isinstance(module, nn.LeakyReLU)}
    assert slopes == {0.2}
