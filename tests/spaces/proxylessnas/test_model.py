"""The networks of the ProxylessNAS space: a bottleneck by hand, and how they are chained."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from lswag_fast.spaces.proxylessnas.model import (
    BATCH_NORM_EPS,
    Bottleneck,
    ConvBn,
    InvertedBottleneck,
    ProxylessNet,
    SqueezeExcitation,
    Variant,
)


def test_a_bottleneck_by_hand() -> None:
    block, x = InvertedBottleneck(Bottleneck(4, 4, 1, 5, 3), Variant("relu6", False)).eval(), torch.randn(2, 4, 6, 6)
    expand, depthwise, project = (layer[0].weight for layer in block.body)
    scale = (1 + BATCH_NORM_EPS) ** -0.5
    inner = F.relu6(scale * F.conv2d(x, expand))
    inner = F.relu6(scale * F.conv2d(inner, depthwise, padding=2, groups=12))
    torch.testing.assert_close(block(x), x + scale * F.conv2d(inner, project))


def test_only_a_bottleneck_that_keeps_the_shape_adds_its_input() -> None:
    shapes = [Bottleneck(4, 4, 1, 3, 3), Bottleneck(4, 8, 1, 3, 3), Bottleneck(4, 4, 2, 3, 3)]
    assert [InvertedBottleneck(shape, Variant("swish", True)).is_residual for shape in shapes] == [True, False, False]


def test_squeeze_and_excitation_by_hand() -> None:
    layer, x = SqueezeExcitation(6, 2, nn.SiLU()), torch.randn(2, 6, 4, 4)
    squeeze, _, excite, _ = layer.gate
    means = x.mean((2, 3))
    hidden = F.silu(means @ squeeze.weight[:, :, 0, 0].T + squeeze.bias)
    gate = torch.sigmoid(hidden @ excite.weight[:, :, 0, 0].T + excite.bias)
    torch.testing.assert_close(layer(x), x * gate[:, :, None, None])


def test_the_variant_reaches_every_layer() -> None:
    shapes = [Bottleneck(8, 8, 1, 3, 1), Bottleneck(8, 8, 1, 7, 6)]
    net = ProxylessNet(shapes, Variant("swish", True), 16, 3)
    kinds = [type(module) for module in net.modules()]
    assert kinds.count(nn.ReLU6) == 0
    assert kinds.count(nn.SiLU) == 2 + 3 + 2  # of stem and last convolution, of the convolutions, and of the gates
    assert kinds.count(SqueezeExcitation) == 2
    assert [gate.gate[0].out_channels for gate in net.modules() if isinstance(gate, SqueezeExcitation)] == [2, 2]


def test_a_chain_by_hand() -> None:
    net = ProxylessNet([Bottleneck(8, 4, 1, 3, 1), Bottleneck(4, 4, 2, 3, 3)], Variant("relu6", False), 16, 3).eval()
    images = torch.randn(2, 3, 16, 16)
    assert isinstance(net.stem, ConvBn) and isinstance(net.last, ConvBn)
    assert [tuple(f.shape[1:]) for f in net.block_features(images)] == [(8, 8, 8), (4, 8, 8), (4, 4, 4)]
    features = net.last(net.blocks[1](net.blocks[0](net.stem(images))))
    torch.testing.assert_close(net(images), net.classifier(features.mean((2, 3))))
