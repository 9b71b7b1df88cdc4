"""The networks of the DARTS space (Liu et al., ICLR 2019), in plain PyTorch, without the auxiliary head."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lswag_fast.spaces.darts.genotype import N_INPUTS, NODES, Edges
from lswag_fast.spaces.layers import IN_CHANNELS, BlockNetwork, FactorizedReduction, ReluConvBn, Zero

_STEM_MULTIPLIER = 3


class CellShape(NamedTuple):
    """What a cell is built with.

    Attributes:
        before_last: channels of the output before the last one.
        last: channels of the last output.
        channels: of each node.
        reduces: whether it halves the sides.
        after_reduction: whether the cell before it did.
    """

    before_last: int
    last: int
    channels: int
    reduces: bool
    after_reduction: bool


def cell_shapes(channels: int, n_cells: int, stem: str) -> list[CellShape]:
    """Return the shapes of all cells; those at one and at two thirds double the channels and halve the sides."""
    before_last = last = channels * (_STEM_MULTIPLIER if stem == "cifar" else 1)
    after_reduction, shapes = stem == "imagenet", []
    for place in range(n_cells):
        reduces = place in (n_cells // 3, 2 * n_cells // 3)
        channels *= 2 if reduces else 1
        shapes.append(CellShape(before_last, last, channels, reduces, after_reduction))
        before_last, last, after_reduction = last, len(NODES) * channels, reduces
    return shapes


def _depthwise(channels: int, kernel_size: int, stride: int, dilation: int) -> list[nn.Module]:
    """ReLU, a depthwise and a pointwise convolution, BatchNorm."""
    padding = dilation * (kernel_size // 2)
    depthwise = nn.Conv2d(
        channels, channels, kernel_size, stride, padding=padding, dilation=dilation, groups=channels, bias=False
    )
    return [nn.ReLU(), depthwise, nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels)]


def operation(name: str, channels: int, stride: int) -> nn.Module:
    """The module of an operation, for maps of that many channels."""
    if name == "none":
        return Zero(channels, stride)
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride, padding=1)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduction(channels, channels, stride)
    kernel_size = int(name[-1])
    if name.startswith("sep_conv"):
        return nn.Sequential(*_depthwise(channels, kernel_size, stride, 1), *_depthwise(channels, kernel_size, 1, 1))
    return nn.Sequential(*_depthwise(channels, kernel_size, stride, 2))


def cell_inputs(shape: CellShape) -> tuple[nn.Module, nn.Module]:
    """What brings the last two outputs to the shape of a cell's nodes."""
    reduction = FactorizedReduction(shape.before_last, shape.channels, 2) if shape.after_reduction else None
    before_last = reduction or ReluConvBn(shape.before_last, shape.channels, 1)
    return before_last, ReluConvBn(shape.last, shape.channels, 1)


class Cell(nn.Module):
    """Two inputs brought to one shape, four nodes that each sum two edges, their outputs joined."""

    def __init__(self, edges: Edges, shape: CellShape) -> None:
        super().__init__()
        self.before_last, self.last = cell_inputs(shape)
        strides = [2 if shape.reduces and source < N_INPUTS else 1 for _, source in edges]
        self.sources = [source for _, source in edges]
        self.edges = nn.ModuleList(
            operation(op, shape.channels, stride) for (op, _), stride in zip(edges, strides, strict=True)
        )

    def forward(self, before_last: Tensor, last: Tensor) -> Tensor:
        """Map the last two outputs to (B, 4 channels, H, W)."""
        states = [self.before_last(before_last), self.last(last)]
        for first in range(0, len(self.edges), 2):
            one, other = (self.edges[edge](states[self.sources[edge]]) for edge in (first, first + 1))
            states.append(one + other)
        return torch.cat(states[N_INPUTS:], dim=1)


class DartsNet(BlockNetwork):
    """Stem, cells that each read the last two outputs, global pooling, classifier.

    Args:
        make: what makes a cell of one of those two shapes, a normal or a reduction cell.
        channels: of a node in the first cells.
        n_cells: how many there are.
        stem: "cifar" or "imagenet".
        num_classes: logits.
    """

    def __init__(
        self, make: Callable[[CellShape], nn.Module], channels: int, n_cells: int, stem: str, num_classes: int
    ) -> None:
        shapes = cell_shapes(channels, n_cells, stem)
        cells = [make(shape) for shape in shapes]
        classifier = nn.Linear(len(NODES) * shapes[-1].channels, num_classes)
        super().__init__(
            _cifar_stem(channels) if stem == "cifar" else _imagenet_stem(channels), cells, nn.Identity(), classifier
        )
        self.second_stem = nn.Identity() if stem == "cifar" else ReluConvBn(channels, channels, 3, 2)

    def block_features(self, images: Tensor) -> list[Tensor]:
        """The outputs of the stem and of every cell, in order."""
        return self.feature_maps(images)[1:]

    def feature_maps(self, images: Tensor) -> list[Tensor]:
        """The same, and before them the input of the first cell that is not the stem's output, if it is another."""
        maps = [self.stem(images)]
        maps.append(self.second_stem(maps[0]))
        for cell in self.blocks:
            maps.append(cell(*maps[-2:]))
        return maps


def _cifar_stem(channels: int) -> nn.Module:
    width = _STEM_MULTIPLIER * channels
    return nn.Sequential(nn.Conv2d(IN_CHANNELS, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))


def _imagenet_stem(channels: int) -> nn.Module:
    half = channels // 2
    first = nn.Conv2d(IN_CHANNELS, half, 3, 2, padding=1, bias=False)
    return nn.Sequential(first, nn.BatchNorm2d(half), *ReluConvBn(half, channels, 3, 2))
