"""The network of a cell: what the cell computes, by hand, and how it is put together."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from lswag_fast.spaces.nasbench101.cell import OPS, Cell
from lswag_fast.spaces.nasbench101.model import CellBlock, NasBench101Net

CONV3, CONV1, POOL = OPS


def test_a_cell_by_hand() -> None:
    """Two vertices of 3 and 2 channels; the second reads the first two channels of the first; the input is added."""
    cell = Cell((0, 0b1, 0b11, 0b111), (CONV3, POOL))
    block, x = CellBlock(cell, in_channels=4, width=5).eval(), torch.randn(2, 4, 6, 6)
    assert block.channels == [0, 3, 2, 5]
    first = block.ops[0](block.projections["1"](x))
    second = F.max_pool2d(first[:, :2] + block.projections["2"](x), 3, stride=1, padding=1)
    torch.testing.assert_close(block(x), torch.cat([first, second], dim=1) + block.projections["3"](x))


def test_a_cell_without_vertices_is_a_projection() -> None:
    block, x = CellBlock(Cell((0, 0b1), ()), in_channels=4, width=8).eval(), torch.randn(2, 4, 6, 6)
    conv, norm, _ = block.projections["1"]
    torch.testing.assert_close(block(x), F.relu(conv(x) / (1 + norm.eps) ** 0.5))


def test_the_network_is_put_together_as_published() -> None:
    net = NasBench101Net(Cell((0, 0b1, 0b10), (CONV1,)), channels=128, cells_per_stack=3, num_classes=10)
    shapes = [tuple(f.shape) for f in net.block_features(torch.zeros(1, 3, 32, 32))]
    assert shapes == [(1, 128, 32, 32)] * 4 + [(1, 256, 16, 16)] * 3 + [(1, 512, 8, 8)] * 3
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.003, 1e-5)}  # torch's momentum is 1 - 0.997
    assert not any(module.bias is not None for module in net.modules() if isinstance(module, nn.Conv2d))
