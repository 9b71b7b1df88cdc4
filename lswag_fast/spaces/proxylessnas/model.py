"""The networks of the ProxylessNAS space (Cai, Zhu, Han, ICLR 2019), in plain PyTorch.

A place that is skipped is left out of the chain. Weights are drawn as torch initialises convolutions; BatchNorm has the
published epsilon of 0.001.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

from torch import Tensor, nn

from lswag_fast.spaces.layers import IN_CHANNELS, BlockNetwork

BATCH_NORM_EPS = 1e-3
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"relu6": nn.ReLU6, "swish": nn.SiLU}


class Bottleneck(NamedTuple):
    """What a mobile inverted bottleneck is built with.

    Attributes:
        in_channels: of its input.
        channels: of its output.
        stride: of its depthwise convolution.
        kernel_size: of its depthwise convolution.
        expansion: inner channels per input channel; with 1 there is no convolution that expands.
    """

    in_channels: int
    channels: int
    stride: int
    kernel_size: int
    expansion: int

    @property
    def inner(self) -> int:
        """Channels of the depthwise convolution."""
        return self.in_channels * self.expansion

    @property
    def squeezed(self) -> int:
        """Channels between the two convolutions of squeeze and excitation."""
        return max(1, self.in_channels // 4)

    @property
    def is_residual(self) -> bool:
        """Whether the input is added to the output, which has its shape."""
        return self.stride == 1 and self.in_channels == self.channels


class Variant(NamedTuple):
    """What all bottlenecks of a network share: their activation, and whether they squeeze and excite."""

    activation: str
    squeeze_excitation: bool

    def activate(self) -> nn.Module:
        """Make the activation."""
        return ACTIVATIONS[self.activation]()


class ConvBn(nn.Sequential):
    """A convolution without bias that keeps the resolution up to its stride, BatchNorm, perhaps an activation."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel_size: int,
        stride: int = 1,
        groups: int = 1,
        activation: nn.Module | None = None,
    ) -> None:
        padding = kernel_size // 2
        conv = nn.Conv2d(in_channels, channels, kernel_size, stride, padding, groups=groups, bias=False)
        layers = [conv, nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS)]
        super().__init__(*layers, *([] if activation is None else [activation]))


class SqueezeExcitation(nn.Module):
    """Scales each channel by a gate that two 1x1 convolutions compute from the means of all channels."""

    def __init__(self, channels: int, squeezed: int, activation: nn.Module) -> None:
        super().__init__()
        squeeze, excite = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)
        self.gate = nn.Sequential(squeeze, activation, excite, nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, C, H, W) to the same shape."""
        return x * cast(Tensor, self.gate(x.mean((2, 3), keepdim=True)))


class InvertedBottleneck(nn.Module):
    """MBConv: a 1x1 convolution that expands, a depthwise one, a 1x1 convolution without activation, and a shortcut."""

    def __init__(self, shape: Bottleneck, variant: Variant) -> None:
        super().__init__()
        inner = shape.inner
        layers: list[nn.Module] = []
        if shape.expansion > 1:
            layers.append(ConvBn(shape.in_channels, inner, 1, activation=variant.activate()))
        layers.append(ConvBn(inner, inner, shape.kernel_size, shape.stride, inner, variant.activate()))
        if variant.squeeze_excitation:
            layers.append(SqueezeExcitation(inner, shape.squeezed, variant.activate()))
        self.body = nn.Sequential(*layers, ConvBn(inner, shape.channels, 1))
        self.is_residual = shape.is_residual

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, C, H, W) to (B, channels, H / stride, W / stride), rounded up."""
        out = cast(Tensor, self.body(x))
        return x + out if self.is_residual else out


class ProxylessNet(BlockNetwork):
    """Stem, bottlenecks, a last 1x1 convolution, global pooling, classifier.

    Args:
        bottlenecks: in order, those that are skipped left out.
        variant: what they share.
        last_channels: of the last convolution.
        num_classes: logits.
    """

    def __init__(
        self, bottlenecks: Sequence[Bottleneck], variant: Variant, last_channels: int, num_classes: int
    ) -> None:
        stem = ConvBn(IN_CHANNELS, bottlenecks[0].in_channels, 3, 2, activation=variant.activate())
        last = ConvBn(bottlenecks[-1].channels, last_channels, 1, activation=variant.activate())
        blocks = [InvertedBottleneck(shape, variant) for shape in bottlenecks]
        super().__init__(stem, blocks, last, nn.Linear(last_channels, num_classes))
