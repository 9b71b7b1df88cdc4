"""Networks for images of another size: interpolated positions, everything else shared."""

from __future__ import annotations

import pytest
import torch

from lswag_fast.errors import SpaceError
from lswag_fast.spaces import AutoFormer
from lswag_fast.spaces.autoformer.model import relative_index
from lswag_fast.spaces.autoformer.resize import resized

SPACE = AutoFormer(embed_dim=64, depth=1, num_heads=1, mlp_ratio=1, image_size=32, patch_size=8, num_classes=3)


def network():
    torch.manual_seed(0)
    return SPACE.build(SPACE.extremes()[0]).eval()


def test_the_same_size_is_the_same_network():
    net, images = network(), torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(resized(net, 32)(images), net(images))


def cubic(distance, a=-0.75):
    """The weight of a pixel in cubic convolution (Keys, 1981), with the parameter that torch has."""
    t = abs(distance)
    return (a + 2) * t**3 - (a + 3) * t**2 + 1 if t <= 1 else a * (t**3 - 5 * t**2 + 8 * t - 4)


def test_positions_are_interpolated_between_the_patches():
    """Of twice the patches, the fourth of a row lies at 1.25 of the old ones, the fifth at 1.75."""
    net, row = network(), [0.0, 1.0, 5.0, 2.0]
    with torch.no_grad():
        net.pos_embed[:, 1:] = torch.tensor(row).repeat(4)[None, :, None]
    patches = resized(net, 64).pos_embed[0, 1:, 0].reshape(8, 8)
    torch.testing.assert_close(patches, patches[:1].expand(8, 8))
    expected = [sum(value * cubic(place - at) for place, value in enumerate(row)) for at in (1.25, 1.75)]
    assert patches[0, 3:5].tolist() == pytest.approx(expected, rel=1e-5)


def test_the_rest_is_shared_and_the_network_as_it_was():
    net = network()
    before = net.pos_embed.clone()
    larger = resized(net, 48)
    assert (net.image_size, larger.image_size) == (32, 48)
    assert torch.equal(net.pos_embed, before) and torch.equal(larger.pos_embed[:, 0], before[:, 0])
    assert larger.blocks[0].fc1.weight is net.blocks[0].fc1.weight
    assert torch.equal(larger.relative_index, relative_index(6))
    assert net(torch.zeros(1, 3, 32, 32)).shape == larger(torch.zeros(1, 3, 48, 48)).shape == (1, 3)


def test_a_size_that_patches_do_not_fill_is_refused():
    with pytest.raises(SpaceError, match="image_size: 36 pixels is no multiple of the patch size 8"):
        resized(network(), 36)
