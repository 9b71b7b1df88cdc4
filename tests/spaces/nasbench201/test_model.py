"""The network of a cell: what the cell computes, by hand, and the features that proxies read."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from lswag_fast.spaces.nasbench201.model import NasBench201Net, operation


def edges_of(ops: tuple[str, ...], width: int) -> list[nn.Module]:
    return [operation(op, width) for op in ops]


def small(*ops: str) -> NasBench201Net:
    """Four channels, one cell per stage, three classes."""
    return NasBench201Net(partial(edges_of, ops), channels=4, cells_per_stage=1, num_classes=3).eval()


def test_the_cell_by_hand() -> None:
    net = small("skip_connect", "none", "skip_connect", "avg_pool_3x3", "none", "skip_connect")
    x = torch.randn(2, 4, 8, 8)
    expected = torch.nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False) + x
    torch.testing.assert_close(net.blocks[0](x), expected)


def test_features_are_those_of_every_block_and_before_pooling() -> None:
    net, x = (
        small("nor_conv_3x3", "none", "skip_connect", "avg_pool_3x3", "nor_conv_1x1", "skip_connect"),
        torch.randn(2, 3, 8, 8),
    )
    shapes = [tuple(f.shape) for f in net.block_features(x)]
    assert shapes == [(2, 4, 8, 8)] * 2 + [(2, 8, 4, 4)] * 2 + [(2, 16, 2, 2)] * 2
    torch.testing.assert_close(net.classifier(net.forward_features(x).mean((2, 3))), net(x))
