"""Parameters and multiply-accumulates of BurgerFormer networks, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from lswag_fast.spaces.burgerformer.choices import MEAT, Layer
from lswag_fast.spaces.burgerformer.model import STEM_CHANNELS, Stage
from lswag_fast.spaces.layers import IN_CHANNELS


class Cost(NamedTuple):
    """Parameters, and multiply-accumulates for one image: convolutions, linear layers and the products of attention."""

    n_params: int
    macs: int


@cache
def layer_cost(layer: Layer, channels: int, side: int) -> Cost:
    """The cost of a layer's operation and norm.

    Args:
        layer: of a block.
        channels: that it sees.
        side: of the square maps in pixels.

    Example:
        >>> layer_cost(Layer("conv_1x1", "BN", True, "skip"), channels=32, side=56)
        Cost(n_params=1120, macs=3211264)
    """
    if layer.is_skip:
        return Cost(0, 0)
    pixels, norm = side**2, 2 * channels
    if layer.op == "dwise_3x3":
        return Cost(norm + 10 * channels, 9 * channels * pixels)
    if layer.op == "conv_1x1":
        return Cost(norm + channels * (channels + 1), channels**2 * pixels)
    if layer.op == "self_atten":
        return Cost(norm + channels * (4 * channels + 1), 4 * channels**2 * pixels + 2 * channels * pixels**2)
    if layer.op == "spatial_mlp":
        return Cost(norm + pixels * (pixels + 1), channels * pixels**2)
    return Cost(norm, 0)


def stage_cost(before: int | None, stage: Stage) -> Cost:
    """The cost of a stage and of the convolution before it.

    Args:
        before: channels of the stage before it; None for the first.
        stage: its depth, widths and layers.
    """
    width, pixels = stage.width, stage.side**2
    inner = width * stage.ratio
    n_params, macs = 3 * width + inner * (2 * width + 1) + width, 2 * width * inner * pixels
    for place, layer in enumerate(stage.layers):
        cost = layer_cost(layer, inner if place == MEAT else width, stage.side)
        n_params += cost.n_params + (width if place != MEAT and not layer.is_skip else 0)
        macs += cost.macs
    halving = 0 if before is None else 9 * before * width
    norms = 0 if before is None else 3 * width
    return Cost(stage.depth * n_params + halving + norms, stage.depth * macs + halving * pixels)


def network_cost(stages: Sequence[Stage], num_classes: int) -> Cost:
    """The cost of a network.

    Args:
        stages: in order.
        num_classes: logits.
    """
    widths = [stage.width for stage in stages]
    parts = [stage_cost(before, stage) for before, stage in zip((None, *widths), stages, strict=False)]
    inside = 9 * STEM_CHANNELS * (IN_CHANNELS + 2 * STEM_CHANNELS)
    end = 9 * STEM_CHANNELS * widths[0]
    n_params = inside + 6 * STEM_CHANNELS + end + widths[0] + 2 * widths[-1] + (widths[-1] + 1) * num_classes
    macs = (4 * inside + end) * stages[0].side ** 2 + widths[-1] * num_classes
    return Cost(n_params + sum(part.n_params for part in parts), macs + sum(part.macs for part in parts))
