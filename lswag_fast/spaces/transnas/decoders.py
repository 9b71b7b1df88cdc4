"""The decoders of TransNAS-Bench-101 (Duan et al., CVPR 2021): feature maps back to the size of the images."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from torch import nn

SLOPE = 0.2
"""Of the leaky ReLUs."""
_IMAGE_PLAN = (
    *((1, 7), (1, 7), (2, 6), (2, 7), (4, 5), (8, 7), (16, 4), (16, 7)),
    *((32, 3), (32, 7), (64, 2), (32, 7), (64, 2)),
)
"""Of each layer but the last: how much narrower than the widest it is, and from how many doublings on it is one."""
_WIDEST = 16
"""The widest layer has 16 times the channels that the stem puts out: 1,024 as published."""


class DecoderLayer(NamedTuple):
    """A 3x3 convolution with bias, or a transposed one that doubles the sides of a map.

    BatchNorm and a leaky ReLU follow, but for the last layer.

    Example:
        >>> DecoderLayer(64, 32, doubles=True).n_params(), DecoderLayer(32, 3, is_last=True).n_params()
        (18528, 867)
    """

    in_channels: int
    channels: int
    doubles: bool = False
    is_last: bool = False

    @property
    def weights(self) -> int:
        """Number of weights without the bias."""
        return 9 * self.in_channels * self.channels

    def n_params(self) -> int:
        """Return the number of parameters, of bias and BatchNorm too."""
        return self.weights + self.channels * (1 if self.is_last else 3)

    def modules(self, end: nn.Module | None) -> Iterator[nn.Module]:
        """Yield the modules; `end` follows the last layer, None for nothing."""
        if self.doubles:
            yield nn.ConvTranspose2d(self.in_channels, self.channels, 3, 2, padding=1, output_padding=1)
        else:
            yield nn.Conv2d(self.in_channels, self.channels, 3, padding=1)
        if not self.is_last:
            yield nn.BatchNorm2d(self.channels)
            yield nn.LeakyReLU(SLOPE)
        elif end is not None:
            yield end


def segmentation_layers(in_channels: int, stem: int, doublings: int, num_classes: int) -> list[DecoderLayer]:
    """Return the layers of the decoder that gives a class to each pixel.

    Args:
        in_channels: of the features.
        stem: channels that the stem puts out; 64 as published.
        doublings: how often the sides have to be doubled, 2 to 6.
        num_classes: logits.

    Example:
        >>> layers = segmentation_layers(512, 64, doublings=5, num_classes=17)
        >>> [layer.channels for layer in layers], sum(layer.doubles for layer in layers)
        ([1024, 512, 256, 128, 64, 32, 32, 17], 5)
    """
    widths = [_WIDEST * stem >> step for step in range(6)]
    layers = [DecoderLayer(in_channels, widths[0])]
    for step, (before, after) in enumerate(pairwise(widths)):
        layers.append(DecoderLayer(before, after, doubles=step >= 6 - doublings))
    last = widths[-1]
    return [*layers, DecoderLayer(last, last, doubles=True), DecoderLayer(last, num_classes, is_last=True)]


def image_layers(in_channels: int, stem: int, doublings: int, channels: int) -> list[DecoderLayer]:
    """Return the layers of the decoder that gives an image, of surface normals or of the input.

    Args:
        in_channels: of the features.
        stem: channels that the stem puts out; 64 as published.
        doublings: how often the sides have to be doubled, 2 to 6.
        channels: of the image.

    Example:
        >>> layers = image_layers(512, 64, doublings=5, channels=3)
        >>> [layer.channels for layer in layers]
        [1024, 1024, 512, 512, 256, 128, 64, 64, 32, 32, 16, 32, 16, 3]
        >>> [place for place, layer in enumerate(layers, 1) if layer.doubles]
        [5, 7, 9, 11, 13]
    """
    widest = _WIDEST * stem
    layers, width = [], in_channels
    for narrower, at_least in _IMAGE_PLAN:
        layers.append(DecoderLayer(width, widest // narrower, doubles=doublings >= at_least))
        width = widest // narrower
    return [*layers, DecoderLayer(width, channels, is_last=True)]


def decoder(layers: list[DecoderLayer], end: nn.Module | None = None) -> nn.Sequential:
    """Return the module of a decoder.

    Args:
        layers: one after the other.
        end: follows the last of them; None for nothing.

    Example:
        >>> import torch
        >>> dense = decoder(segmentation_layers(16, 8, doublings=3, num_classes=5))
        >>> dense(torch.zeros(2, 16, 4, 4)).shape
        torch.Size([2, 5, 32, 32])
    """
    return nn.Sequential(*(module for layer in layers for module in layer.modules(end)))
