"""Parameters and multiply-accumulates of ProxylessNAS networks, layer by layer."""

from __future__ import annotations

from typing import NamedTuple

from lswag_fast.spaces.layers import IN_CHANNELS
from lswag_fast.spaces.proxylessnas.model import Bottleneck


class Cost(NamedTuple):
    """Parameters, and multiply-accumulates for one image."""

    n_params: int
    macs: int


def bottleneck_cost(shape: Bottleneck, side: int, squeeze_excitation: bool) -> Cost:
    """The cost of a bottleneck.

    Args:
        shape: of the bottleneck.
        side: of the square map that it puts out, in pixels.
        squeeze_excitation: whether it squeezes and excites.

    Example:
        >>> bottleneck_cost(Bottleneck(32, 16, 1, 3, 1), side=112, squeeze_excitation=False)
        Cost(n_params=896, macs=10035200)
    """
    inner, expands = shape.inner, shape.expansion > 1
    expanding, depthwise = shape.in_channels * inner * expands, inner * shape.kernel_size**2
    projecting = inner * shape.channels
    norms = 2 * (inner * expands + inner + shape.channels)
    gate = 2 * inner * shape.squeezed if squeeze_excitation else 0
    gate_biases = inner + shape.squeezed if squeeze_excitation else 0
    macs = expanding * (side * shape.stride) ** 2 + (depthwise + projecting) * side**2 + gate
    return Cost(expanding + depthwise + projecting + norms + gate + gate_biases, macs)


def frame_cost(stem: int, channels: int, last: int, num_classes: int, image_size: int) -> Cost:
    """The cost of what all networks of a space have: stem, last convolution and classifier.

    Args:
        stem: channels of the stem.
        channels: of the last bottleneck.
        last: channels of the last convolution.
        num_classes: logits.
        image_size: side of the images in pixels, a multiple of 32.

    Example:
        >>> frame_cost(stem=32, channels=320, last=1280, num_classes=1000, image_size=224).n_params
        1694088
    """
    first, mixing = 9 * IN_CHANNELS * stem, channels * last
    macs = first * (image_size // 2) ** 2 + mixing * (image_size // 32) ** 2 + last * num_classes
    return Cost(first + 2 * stem + mixing + 2 * last + (last + 1) * num_classes, macs)
