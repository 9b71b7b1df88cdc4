"""What a BurgerFormer network is made of (Yang et al., ICML 2022), in the notation of its public code.

A layer of a block is five words, activation-norm-operation-norm-activation, such as `skip-LN-self_atten-skip-gelu`. As
in the public code the first activation is never used, a layer with an operation has exactly one of the two norms, and a
layer without one is all skips.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import NamedTuple

DEPTHS = ((1, 2, 3, 4), (1, 2, 3, 4), (1, 2, 3, 4, 5, 6, 7, 8), (1, 2, 3, 4))
"""Blocks of each stage."""
WIDTHS = ((32, 64, 96), (64, 96, 128), (128, 192, 256, 320), (128, 256, 384, 512))
"""Channels of each stage."""
RATIOS = (1, 2, 4, 6)
"""Inner channels of the meat layer per channel, of any stage."""
HEADS = (None, None, 4, 8)
"""Heads of the attention of each stage; the first two have none."""
SKIP = "skip"
NORMS = ("BN", "GN", "LN")
ACTIVATIONS = (SKIP, "relu6", "gelu", "silu")
_LOCAL_OPS = ("dwise_3x3", "conv_1x1", "avgpool")
_GLOBAL_OPS = ("self_atten", "spatial_mlp")
_MEAT_OPS = ("dwise_3x3",)
STAGES = range(len(DEPTHS))
LAYERS = range(3)
MEAT = 1
"""The place of the meat: the layer between two layers of bread."""


class Layer(NamedTuple):
    """A layer of a block.

    Attributes:
        op: the operation, or skip.
        norm: the norm beside it, or skip.
        norm_first: whether the norm comes before the operation.
        activation: at the end, or skip.
    """

    op: str
    norm: str
    norm_first: bool
    activation: str

    @property
    def is_skip(self) -> bool:
        """Whether there is no operation."""
        return self.op == SKIP

    def text(self) -> str:
        """Return the five words of the layer."""
        before, after = (self.norm, SKIP) if self.norm_first else (SKIP, self.norm)
        return "-".join((SKIP, before, self.op, after, self.activation))


NO_LAYER = Layer(SKIP, SKIP, False, SKIP)


def operations(stage: int, layer: int) -> tuple[str, ...]:
    """Return the operations of a layer; only the bread of the last two stages has those that look at all positions.

    Example:
        >>> operations(0, MEAT), len(operations(3, 0))
        (('skip', 'dwise_3x3'), 6)
    """
    if layer == MEAT:
        return (SKIP, *_MEAT_OPS)
    return (SKIP, *_LOCAL_OPS, *(_GLOBAL_OPS if HEADS[stage] else ()))


@cache
def layers(stage: int, layer: int) -> dict[str, Layer]:
    """Return the choices of a layer by their texts.

    Example:
        >>> len(layers(0, 0)), len(layers(2, 0)), len(layers(0, MEAT))
        (73, 121, 25)
    """
    made = [Layer(*parts) for parts in product(operations(stage, layer)[1:], NORMS, (True, False), ACTIVATIONS)]
    return {found.text(): found for found in (NO_LAYER, *made)}
