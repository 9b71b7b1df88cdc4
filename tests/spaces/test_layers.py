"""Layers of several spaces: shapes, and a chain by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lswag_fast.spaces.layers import BlockNetwork, ChannelNorm, FactorizedReduction, ReluConvBn, Zero


@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("stride", [1, 2])
def test_shapes(kernel_size: int, stride: int) -> None:
    """An edge that is cut fits beside one that is not, also at odd sizes."""
    x = torch.randn(2, 4, 7, 6)
    shape = ReluConvBn(4, 8, kernel_size, stride)(x).shape
    assert shape == (2, 8, 7, 6) if stride == 1 else (2, 8, 4, 3)
    zeros = Zero(8, stride)(x)
    assert zeros.shape == shape and not zeros.any()


def test_relu_comes_first() -> None:
    layer = ReluConvBn(2, 3, 1).eval()
    x = torch.randn(2, 2, 4, 4)
    expected = torch.einsum("oi,bihw->bohw", layer[1].weight[:, :, 0, 0], x.clamp(min=0))
    torch.testing.assert_close(layer(x), expected / (1 + layer[2].eps) ** 0.5)


def test_a_skip_that_changes_the_shape_by_hand() -> None:
    """Half of its outputs see the even pixels, the others the odd ones."""
    skip, x = FactorizedReduction(2, 4, 2).eval(), torch.randn(1, 2, 4, 4)
    even, odd = x.clamp(min=0)[:, :, ::2, ::2], x.clamp(min=0)[:, :, 1::2, 1::2]
    expected = torch.cat([F.conv2d(even, skip.convs[0].weight), F.conv2d(odd, skip.convs[1].weight)], dim=1)
    torch.testing.assert_close(skip(x), expected / (1 + skip.norm.eps) ** 0.5)


def test_a_norm_over_channels_by_hand() -> None:
    norm, x = ChannelNorm(5, eps=0.5), torch.randn(2, 5, 3, 4)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    centred = x - x.mean(1, keepdim=True)
    expected = centred / (centred.square().mean(1, keepdim=True) + 0.5).sqrt()
    torch.testing.assert_close(norm(x), expected * norm.weight[:, None, None] + norm.bias[:, None, None])


def test_a_chain_by_hand() -> None:
    stem, blocks, last, classifier = nn.Conv2d(3, 4, 1), [nn.Conv2d(4, 4, 1), nn.Tanh()], nn.ReLU(), nn.Linear(4, 5)
    net, images = BlockNetwork(stem, blocks, last, classifier), torch.randn(2, 3, 6, 6)
    first = blocks[0](stem(images))
    features = net.block_features(images)
    torch.testing.assert_close(features, [stem(images), first, first.tanh()])
    torch.testing.assert_close(net.forward_features(images), first.tanh().relu())
    torch.testing.assert_close(net(images), classifier(first.tanh().relu().mean((2, 3))))
