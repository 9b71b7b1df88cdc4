"""The networks of the BurgerFormer space: operations and blocks by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lswag_fast.errors import InputError
from lswag_fast.spaces.burgerformer.choices import ACTIVATIONS, NO_LAYER, NORMS, Layer
from lswag_fast.spaces.burgerformer.model import (
    LAYER_SCALE,
    Attention,
    Burger,
    BurgerFormerNet,
    Pooling,
    ScaledResidual,
    SpatialMlp,
    Stage,
    Stem,
    layer_modules,
    stages,
)
from lswag_fast.spaces.layers import ChannelNorm

PLAIN = Stage(depth=1, width=6, ratio=2, layers=(NO_LAYER,) * 3, side=4, heads=2)


def test_attention_is_that_of_torch() -> None:
    ours, x = Attention(6, heads=2), torch.randn(3, 6, 2, 4)
    theirs = nn.MultiheadAttention(6, 2, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.qkv.weight)
        theirs.in_proj_bias.zero_()
        theirs.out_proj.load_state_dict(ours.proj.state_dict())
    tokens = x.flatten(2).mT
    expected, _ = theirs(tokens, tokens, tokens)
    torch.testing.assert_close(ours(x), expected.mT.unflatten(2, (2, 4)))


def test_pooling_by_hand() -> None:
    x = torch.randn(1, 2, 3, 3)
    out = Pooling()(x)
    torch.testing.assert_close(out[..., 1, 1], x.mean((2, 3)) - x[..., 1, 1])
    torch.testing.assert_close(out[..., 0, 0], x[..., :2, :2].mean((2, 3)) - x[..., 0, 0])


def test_a_spatial_mlp_by_hand_and_of_another_size() -> None:
    mlp, x = SpatialMlp(3), torch.randn(2, 4, 3, 3)
    expected = torch.einsum("bcp,qp->bcq", x.flatten(2), mlp.fc.weight) + mlp.fc.bias
    torch.testing.assert_close(mlp(x).flatten(2), expected)
    with pytest.raises(InputError, match="takes maps of 3 x 3, found 3 x 4; resize the images"):
        mlp(torch.zeros(2, 4, 3, 4))


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize(("norm", "kind"), list(zip(NORMS, (nn.BatchNorm2d, nn.GroupNorm, ChannelNorm), strict=True)))
def test_a_layer_is_an_operation_with_a_norm_and_an_activation(norm: str, kind: type, norm_first: bool) -> None:
    for activation, last in zip(ACTIVATIONS, (None, nn.ReLU6, nn.GELU, nn.SiLU), strict=True):
        found = [type(m) for m in layer_modules(Layer("conv_1x1", norm, norm_first, activation), 6, PLAIN)]
        pair = [kind, nn.Conv2d] if norm_first else [nn.Conv2d, kind]
        assert found == pair + ([] if last is None else [last])
    assert layer_modules(NO_LAYER, 6, PLAIN) == []


def test_a_block_by_hand() -> None:
    """Bread that is a depthwise convolution, meat, no second bread; each residual scaled."""
    bread, meat = Layer("dwise_3x3", "BN", True, "silu"), Layer("dwise_3x3", "LN", False, "skip")
    burger = Burger(PLAIN._replace(layers=(bread, meat, NO_LAYER))).eval()
    assert [type(part) for part in burger] == [ScaledResidual, ScaledResidual]
    for part in burger:
        assert (part.scale == LAYER_SCALE).all()
        nn.init.normal_(part.scale)
    x = torch.randn(2, 6, 4, 4)
    first, second = burger
    conv = first.body[1]
    inner = x / (1 + first.body[0].eps) ** 0.5
    halfway = x + first.scale * F.silu(F.conv2d(inner, conv.weight, conv.bias, padding=1, groups=6))
    norm, widen, gelu, depthwise, channel_norm, narrow = second.body
    assert isinstance(norm, nn.GroupNorm) and norm.num_groups == 1 and widen.out_channels == 12
    inner = gelu(widen(norm(halfway)))
    expected = halfway + second.scale * narrow(channel_norm(depthwise(inner)))
    torch.testing.assert_close(burger(x), expected)


def test_the_stem_by_hand() -> None:
    stem, images = Stem(8).eval(), torch.randn(2, 3, 16, 16)
    first = stem.first(images)
    assert first.shape == (2, 24, 8, 8)
    torch.testing.assert_close(stem(images), stem.proj(first + stem.residual(first)))
    assert stem(images).shape == (2, 8, 4, 4)


def test_stages_are_chained() -> None:
    found = stages([1, 2, 1, 1], [8, 16, 24, 32], [1, 2, 2, 1], [(NO_LAYER,) * 3] * 4, image_size=64)
    assert [(stage.side, stage.heads) for stage in found] == [(16, None), (8, None), (4, 4), (2, 8)]
    net = BurgerFormerNet(found, num_classes=3).eval()
    images = torch.randn(2, 3, 64, 64)
    shapes = [tuple(feature.shape[1:]) for feature in net.block_features(images)]
    assert shapes == [(8, 16, 16), (8, 16, 16), (16, 8, 8), (16, 8, 8), (24, 4, 4), (32, 2, 2)]
    features = F.group_norm(net.block_features(images)[-1], 1)
    torch.testing.assert_close(net(images), net.classifier(features.mean((2, 3))))
    assert net.classifier.weight.std() < 0.03 and not net.classifier.bias.any()
