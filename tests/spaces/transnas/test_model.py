"""The networks of TransNAS-Bench-101: what their blocks compute, by hand, and how they are put together."""

from __future__ import annotations

import torch

from lswag_fast.spaces.transnas.model import BasicBlock, Cell, TransNasNet


def test_a_cell_that_keeps_the_shape_by_hand() -> None:
    """Edges 0 -> 1, then 0 -> 2 and 1 -> 2, then 0 -> 3, 1 -> 3 and 2 -> 3."""
    cell, x = Cell("302013", 4, 4, 1).eval(), torch.randn(2, 4, 6, 6)
    first = cell.edges[0](x)
    second = cell.edges[2](first)
    torch.testing.assert_close(cell(x), first + cell.edges[5](second))


def test_a_cell_that_changes_the_shape_does_so_on_the_edges_from_its_input() -> None:
    cell, x = Cell("123123", 4, 8, 2).eval(), torch.randn(2, 4, 7, 6)
    first = cell.edges[0](x)
    second = cell.edges[1](x) + cell.edges[2](first)
    assert first.shape == second.shape == (2, 8, 4, 3)
    expected = cell.edges[3](x) + cell.edges[4](first) + cell.edges[5](second)
    torch.testing.assert_close(cell(x), expected)


def test_the_residual_block_by_hand() -> None:
    block, x = BasicBlock(4, 4, 1).eval(), torch.randn(2, 4, 6, 6)
    torch.testing.assert_close(block(x), x + block.body[1](block.body[0](x)))
    block = BasicBlock(4, 8, 2).eval()
    torch.testing.assert_close(block(x), block.shortcut(x) + block.body(x))


def test_the_network_is_put_together_as_published() -> None:
    net = TransNasNet([(8, 16, 2), (16, 16, 1), (16, 32, 1)], "333333", num_classes=5)
    shapes = [tuple(f.shape) for f in net.block_features(torch.zeros(2, 3, 64, 64))]
    assert shapes == [(2, 8, 16, 16), *[(2, 16, 8, 8)] * 4, *[(2, 32, 8, 8)] * 2]
    assert net(torch.zeros(2, 3, 64, 64)).shape == (2, 5)
