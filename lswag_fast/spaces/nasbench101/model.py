"""The network of a NAS-Bench-101 cell (Ying et al., ICML 2019), in plain PyTorch."""

from __future__ import annotations

from functools import reduce
from operator import add

import torch
from torch import Tensor, nn

from lswag_fast.spaces.layers import IN_CHANNELS, BlockNetwork
from lswag_fast.spaces.nasbench101.cell import KERNEL_SIZES, Cell

N_STACKS = 3
BN_MOMENTUM = 0.003
"""The share of a new batch in the running statistics: 1 - 0.997, the momentum as the benchmark's library counts it."""
BN_EPSILON = 1e-5


class ConvBnRelu(nn.Sequential):
    """A convolution without bias that keeps the resolution, BatchNorm, ReLU."""

    def __init__(self, in_channels: int, channels: int, kernel_size: int) -> None:
        conv = nn.Conv2d(in_channels, channels, kernel_size, padding=kernel_size // 2, bias=False)
        super().__init__(conv, nn.BatchNorm2d(channels, eps=BN_EPSILON, momentum=BN_MOMENTUM), nn.ReLU())


def operation(name: str, channels: int) -> nn.Module:
    """The module of an operation of the benchmark, for maps of that many channels."""
    if name == "maxpool3x3":
        return nn.MaxPool2d(3, stride=1, padding=1)
    return ConvBnRelu(channels, channels, KERNEL_SIZES[name])


class CellBlock(nn.Module):
    """A cell: every vertex adds what it reads and applies its operation, the output concatenates what it reads.

    What comes from the input is projected to the channels of its reader; of a wider vertex the first channels are read.
    """

    def __init__(self, cell: Cell, in_channels: int, width: int) -> None:
        super().__init__()
        self.cell = cell
        self.channels = cell.channels(width)
        readers = [vertex for vertex, mask in enumerate(cell.sources) if mask & 1]
        self.projections = nn.ModuleDict({str(v): ConvBnRelu(in_channels, self.channels[v], 1) for v in readers})
        self.ops = nn.ModuleList(operation(op, self.channels[v]) for v, op in enumerate(cell.ops, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, C, H, W) to (B, width, H, W)."""
        values = [x]
        for vertex, op in enumerate(self.ops, 1):
            read = [value[:, : self.channels[vertex]] for value in self._read(vertex, values)]
            values.append(op(reduce(add, read + self._projected(vertex, x))))
        last = len(values)
        read = self._read(last, values)
        joined = [torch.cat(read, dim=1)] if read else []
        return reduce(add, joined + self._projected(last, x))

    def _read(self, vertex: int, values: list[Tensor]) -> list[Tensor]:
        """The outputs of the vertices between that this one reads."""
        return [value for v, value in enumerate(values) if v and self.cell.sources[vertex] >> v & 1]

    def _projected(self, vertex: int, x: Tensor) -> list[Tensor]:
        """The cell's input as this vertex reads it; nothing where it does not."""
        return [self.projections[str(vertex)](x)] if self.cell.sources[vertex] & 1 else []


class NasBench101Net(BlockNetwork):
    """Stem, three stacks of cells with a max pooling before the second and the third, global pooling, classifier."""

    def __init__(self, cell: Cell, channels: int, cells_per_stack: int, num_classes: int) -> None:
        stem = ConvBnRelu(IN_CHANNELS, channels, 3)
        blocks: list[nn.Module] = []
        for stack in range(N_STACKS):
            width = channels << stack
            first = CellBlock(cell, width // 2 if stack else width, width)
            blocks += [nn.Sequential(nn.MaxPool2d(2, 2), first) if stack else first]
            blocks += [CellBlock(cell, width, width) for _ in range(cells_per_stack - 1)]
        super().__init__(stem, blocks, nn.Identity(), nn.Linear(width, num_classes))
