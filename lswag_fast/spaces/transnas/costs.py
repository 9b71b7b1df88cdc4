"""Parameters and multiply-accumulates of TransNAS-Bench-101 networks, in closed form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lswag_fast.spaces.layers import IN_CHANNELS
from lswag_fast.spaces.transnas.decoders import DecoderLayer
from lswag_fast.spaces.transnas.model import EDGES, block_shapes


class Convolution(NamedTuple):
    """A convolution that a BatchNorm follows, and the side of the square map that it puts out.

    Example:
        >>> Convolution(kernel=3, in_channels=3, channels=32, side=112).weights
        864
    """

    kernel: int
    in_channels: int
    channels: int
    side: int

    @property
    def weights(self) -> int:
        """Number of weights; there is no bias."""
        return self.kernel * self.kernel * self.in_channels * self.channels


def convolutions(
    stages: Sequence[tuple[int, int, int]], digits: Sequence[str] | None, image_size: int
) -> Iterator[Convolution]:
    """Yield every convolution of a network; the two halves of a skip that changes the shape count as one.

    Args:
        stages: channels in, channels out and stride of each.
        digits: of the cell; None for the residual block.
        image_size: side of the square images in pixels.

    Example:
        >>> found = list(convolutions([(64, 128, 2)], "300000", image_size=64))
        >>> [conv.side for conv in found], found[-1].weights
        ([32, 16, 8, 8], 147456)
    """
    width, side = stages[0][0], -(-image_size // 2)
    yield Convolution(3, IN_CHANNELS, width // 2, side)
    side = -(-side // 2)
    yield Convolution(3, width // 2, width, side)
    for stage in stages:
        for in_channels, channels, stride in block_shapes(*stage):
            side = -(-side // stride)
            changes = stride != 1 or in_channels != channels
            for kernel, source in _residual(changes) if digits is None else _cell(digits, changes):
                yield Convolution(kernel, channels if source else in_channels, channels, side)


def decoder_macs(layers: Sequence[DecoderLayer], side: int) -> int:
    """Return the multiply-accumulates of a decoder: of a transposed convolution, one of each weight and input pixel.

    Args:
        layers: of the decoder.
        side: of the square features.

    Example:
        >>> decoder_macs([DecoderLayer(4, 2, doubles=True), DecoderLayer(2, 3, is_last=True)], side=8)
        18432
    """
    total = 0
    for layer in layers:
        total += layer.weights * side**2
        side *= 2 if layer.doubles else 1
    return total


def _residual(changes: bool) -> list[tuple[int, int]]:
    """(side of the kernel, whether it reads an inner map) of the convolutions of a residual block."""
    return [(3, 0), (3, 1), *[(1, 0)] * changes]


def _cell(digits: Sequence[str], changes: bool) -> Iterator[tuple[int, int]]:
    """(side of the kernel, node that it reads) of the convolutions of a cell."""
    kernels = {"2": 1, "3": 3}
    for digit, (_, source) in zip(digits, EDGES, strict=True):
        if digit in kernels:
            yield kernels[digit], source
        elif digit == "1" and changes and not source:
            yield 1, 0
