"""The networks of TransNAS-Bench-101 (Duan et al., CVPR 2021), in plain PyTorch: an encoder, and head or decoder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import cast

import torch
from torch import Tensor, nn

from lswag_fast.spaces.layers import IN_CHANNELS, BlockNetwork, FactorizedReduction, ReluConvBn, Zero
from lswag_fast.tasks.jigsaw import GRID, N_TILES

BLOCKS_PER_STAGE = 2
STEM_HALVINGS = 2
"""How often the stem halves the sides."""
EDGES = tuple((node, source) for node in range(1, 4) for source in range(node))
"""(node, source) of a cell's six edges, in the order in which its string names them."""


def operation(digit: str, in_channels: int, channels: int, stride: int) -> nn.Module:
    """The module of a digit of a cell: 0 zeros, 1 skip, 2 and 3 a convolution of side 1 or 3."""
    if digit == "0":
        return Zero(channels, stride)
    if digit == "1":
        if stride == 1 and in_channels == channels:
            return nn.Identity()
        return FactorizedReduction(in_channels, channels, stride)
    return ReluConvBn(in_channels, channels, {"2": 1, "3": 3}[digit], stride)


class Cell(nn.Module):
    """Four nodes: the first is the input, each further one sums its edges from those before, the last is the output.

    The edges from the input change channels and resolution.
    """

    def __init__(self, digits: Sequence[str], in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(
            operation(digit, channels if source else in_channels, channels, 1 if source else stride)
            for digit, (_, source) in zip(digits, EDGES, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, C, H, W) to (B, channels, H / stride, W / stride), rounded up."""
        nodes = [x]
        for node in range(1, 4):
            terms = [edge(nodes[source]) for edge, (to, source) in zip(self.edges, EDGES, strict=True) if to == node]
            nodes.append(reduce(add, terms))
        return nodes[-1]


class BasicBlock(nn.Module):
    """The residual block of the macro space: two 3x3 convolutions, each after a ReLU."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(ReluConvBn(in_channels, channels, 3, stride), ReluConvBn(channels, channels, 3))
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            conv = nn.Conv2d(in_channels, channels, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, C, H, W) to (B, channels, H / stride, W / stride), rounded up."""
        return cast(Tensor, self.shortcut(x) + self.body(x))


Stages = Sequence[tuple[int, int, int]]
"""Channels in, channels out and stride of each."""


class _Encoded(BlockNetwork):
    """Stem that quarters the resolution, stages of two blocks each, and what is made of their features."""

    def __init__(self, stages: Stages, digits: Sequence[str] | None, end: nn.Module) -> None:
        width = stages[0][0]
        stem = nn.Sequential(
            nn.Conv2d(IN_CHANNELS, width // 2, 3, 2, padding=1, bias=False),
            nn.BatchNorm2d(width // 2),
            *ReluConvBn(width // 2, width, 3, 2),
        )
        blocks: list[nn.Module] = []
        for stage in stages:
            for shape in block_shapes(*stage):
                blocks.append(BasicBlock(*shape) if digits is None else Cell(digits, *shape))
        super().__init__(stem, blocks, nn.Identity(), end)


class TransNasNet(_Encoded):
    """Encoder, global pooling, and a linear layer: for classes, or for a few numbers.

    Args:
        stages: channels in, channels out and stride of each.
        digits: of the cell that is each block; None for the residual block.
        num_classes: logits.
    """

    def __init__(self, stages: Stages, digits: Sequence[str] | None, num_classes: int) -> None:
        super().__init__(stages, digits, nn.Linear(stages[-1][1], num_classes))


class DenseNet(_Encoded):
    """Encoder and decoder: something for each pixel.

    Args:
        stages: as of `TransNasNet`.
        digits: likewise.
        decoder: maps the features to the size of the images.
    """

    def __init__(self, stages: Stages, digits: Sequence[str] | None, decoder: nn.Module) -> None:
        super().__init__(stages, digits, decoder)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to (B, C, H, W)."""
        return cast(Tensor, self.classifier(self.forward_features(images)))


class JigsawNet(_Encoded):
    """One encoder for the nine tiles of a puzzle, whose pooled features a linear layer joins.

    Each tile goes through it by itself, as published, so that a BatchNorm sees those of one place only.

    Args:
        stages: as of `TransNasNet`.
        digits: likewise.
        num_classes: orders to tell apart.
    """

    def __init__(self, stages: Stages, digits: Sequence[str] | None, num_classes: int) -> None:
        super().__init__(stages, digits, nn.Linear(N_TILES * stages[-1][1], num_classes))

    def block_features(self, images: Tensor) -> list[Tensor]:
        """The outputs of the stem and of every block for puzzles (B, 3, 3 t, 3 t), those of all tiles side by side."""
        tiles = [tile for row in images.chunk(GRID, dim=2) for tile in row.chunk(GRID, dim=3)]
        features = [torch.cat([self.stem(tile) for tile in tiles], dim=1)]
        for block in self.blocks:
            features.append(torch.cat([block(tile) for tile in features[-1].chunk(N_TILES, dim=1)], dim=1))
        return features


def block_shapes(in_channels: int, channels: int, stride: int) -> list[tuple[int, int, int]]:
    """Channels in, channels out and stride of the blocks of a stage: the first one changes them."""
    return [(in_channels, channels, stride), *[(channels, channels, 1)] * (BLOCKS_PER_STAGE - 1)]
