"""The networks of the BurgerFormer space (Yang et al., ICML 2022), in plain PyTorch.

Source: the public code of its authors. Drop-path, which acts in training only, is left out. Weights are drawn as there:
those of linear layers from a truncated normal distribution of standard deviation 0.02, others as torch initialises
them, layer scales 0.00001.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from lswag_fast.errors import InputError
from lswag_fast.spaces.burgerformer.choices import HEADS, MEAT, SKIP, Layer
from lswag_fast.spaces.layers import IN_CHANNELS, BlockNetwork, ChannelNorm

STEM_CHANNELS = 24
LAYER_SCALE = 1e-5
_LAYER_NORM_EPS = 1e-6
_LINEAR_STD = 0.02
_ACTIVATIONS = {"relu6": nn.ReLU6, "gelu": nn.GELU, "silu": nn.SiLU}


class Stage(NamedTuple):
    """What a stage is built with.

    Attributes:
        depth: its blocks, which are alike.
        width: channels.
        ratio: inner channels of the meat per channel.
        layers: of a block: bread, meat, bread.
        side: of its square maps.
        heads: of the attention, if it can have one.
    """

    depth: int
    width: int
    ratio: int
    layers: tuple[Layer, ...]
    side: int
    heads: int | None


def stages(
    depths: Sequence[int],
    widths: Sequence[int],
    ratios: Sequence[int],
    layers: Sequence[tuple[Layer, ...]],
    image_size: int,
) -> list[Stage]:
    """Return the four stages of a network; the stem divides the sides by 4, each stage but the first by 2."""
    sides = [image_size // 4 >> stage for stage in range(len(HEADS))]
    return [Stage(*found) for found in zip(depths, widths, ratios, layers, sides, HEADS, strict=True)]


class Pooling(nn.Module):
    """The mean of 3x3 pixels, less the pixel itself."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, C, H, W) to the same shape."""
        return cast(Tensor, self.pool(x)) - x


class Attention(nn.Module):
    """Multi-head attention between all positions; only the output has a bias."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (channels // heads) ** -0.5
        self.qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, C, H, W) to the same shape."""
        tokens = x.flatten(2).transpose(1, 2)
        qkv = cast(Tensor, self.qkv(tokens)).reshape(*tokens.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        attention = (q @ k.transpose(-2, -1) * self.scale).softmax(dim=-1)
        out = cast(Tensor, self.proj((attention @ v).transpose(1, 2).flatten(2)))
        return out.transpose(1, 2).reshape(x.shape)


class SpatialMlp(nn.Module):
    """A linear layer over the positions, the same for all channels; it takes maps of one size only."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side
        self.fc = nn.Linear(side**2, side**2)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, C, side, side) to the same shape.

        Raises:
            InputError: the maps have another size.
        """
        if tuple(x.shape[2:]) != (self.side, self.side):
            raise InputError(
                f"images: a spatial MLP of this network takes maps of {self.side} x {self.side}, found {x.shape[2]} x "
                f"{x.shape[3]}; resize the images to those of the space"
            )
        return cast(Tensor, self.fc(x.flatten(2))).reshape(x.shape)


def _norm(name: str, channels: int) -> nn.Module:
    if name == "BN":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(1, channels) if name == "GN" else ChannelNorm(channels, _LAYER_NORM_EPS)


def _operation(op: str, channels: int, stage: Stage) -> nn.Module:
    if op == "dwise_3x3":
        return nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
    if op == "conv_1x1":
        return nn.Conv2d(channels, channels, 1)
    if op == "avgpool":
        return Pooling()
    if op == "self_atten" and stage.heads is not None:
        return Attention(channels, stage.heads)
    return SpatialMlp(stage.side)


def layer_modules(layer: Layer, channels: int, stage: Stage) -> list[nn.Module]:
    """The modules of a layer, none for a skip."""
    if layer.is_skip:
        return []
    modules = [_operation(layer.op, channels, stage)]
    modules.insert(0 if layer.norm_first else 1, _norm(layer.norm, channels))
    return modules + ([] if layer.activation == SKIP else [_ACTIVATIONS[layer.activation]()])


class ScaledResidual(nn.Module):
    """Adds to its input what a chain of modules makes of it, scaled channel by channel."""

    def __init__(self, modules: Sequence[nn.Module], channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*modules)
        self.scale = nn.Parameter(torch.full((channels, 1, 1), LAYER_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, C, H, W) to the same shape."""
        return x + self.scale * cast(Tensor, self.body(x))


class Burger(nn.Sequential):
    """A block: bread, meat, bread. Bread without an operation is left out; meat always has its two 1x1 convolutions."""

    def __init__(self, stage: Stage) -> None:
        width, inner = stage.width, stage.width * stage.ratio
        residuals = []
        for place, layer in enumerate(stage.layers):
            if place == MEAT:
                widen = [nn.GroupNorm(1, width), nn.Conv2d(width, inner, 1), nn.GELU()]
                modules = [*widen, *layer_modules(layer, inner, stage), nn.Conv2d(inner, width, 1)]
            else:
                modules = layer_modules(layer, width, stage)
            if modules:
                residuals.append(ScaledResidual(modules, width))
        super().__init__(*residuals)


class Stem(nn.Module):
    """Three 3x3 convolutions with BatchNorm and ReLU, of which the last two are a residual, and a fourth.

    The first and the last halve the sides.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv_bn_relu(IN_CHANNELS, 2)
        self.residual = nn.Sequential(_conv_bn_relu(STEM_CHANNELS, 1), _conv_bn_relu(STEM_CHANNELS, 1))
        self.proj = nn.Conv2d(STEM_CHANNELS, channels, 3, 2, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to (B, channels, H / 4, W / 4)."""
        x = self.first(images)
        return cast(Tensor, self.proj(x + self.residual(x)))


def _conv_bn_relu(in_channels: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, STEM_CHANNELS, 3, stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(STEM_CHANNELS), nn.ReLU())


class BurgerFormerNet(BlockNetwork):
    """Stem, four stages of blocks, a norm, global pooling, classifier.

    Args:
        stages: in order; a 3x3 convolution and a norm halve the sides between them.
        num_classes: logits.

    Attributes:
        image_size: side of the images that it takes, where a spatial MLP fixes it, else None.
    """

    def __init__(self, stages: Sequence[Stage], num_classes: int) -> None:
        blocks: list[nn.Module] = []
        for before, stage in zip((None, *stages), stages, strict=False):
            burgers: list[nn.Module] = [Burger(stage) for _ in range(stage.depth)]
            if before is not None:
                halve = nn.Conv2d(before.width, stage.width, 3, 2, padding=1), nn.GroupNorm(1, stage.width)
                burgers[0] = nn.Sequential(*halve, burgers[0])
            blocks += burgers
        width = stages[-1].width
        super().__init__(Stem(stages[0].width), blocks, nn.GroupNorm(1, width), nn.Linear(width, num_classes))
        has_fixed_size = any(isinstance(module, SpatialMlp) for module in self.modules())
        self.image_size = 4 * stages[0].side if has_fixed_size else None
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=_LINEAR_STD)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def map_norm(self, channels: int) -> nn.Module:
        """The norm that the published detectors put after each map that they take."""
        return nn.GroupNorm(1, channels)
