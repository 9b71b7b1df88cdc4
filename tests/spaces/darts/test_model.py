"""The networks of the DARTS space: a cell and its operations by hand, and how cells are chained."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from lswag_fast.spaces.darts.genotype import OPS
from lswag_fast.spaces.darts.model import Cell, CellShape, DartsNet, cell_shapes, operation

SKIPS = (("skip_connect", 0), ("skip_connect", 1)) * 4


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("stride", [1, 2])
def test_operations_keep_the_resolution_up_to_their_stride(name: str, stride: int) -> None:
    assert operation(name, 4, stride)(torch.randn(2, 4, 8, 8)).shape == (2, 4, 8 // stride, 8 // stride)


def test_a_dilated_convolution_by_hand() -> None:
    op, x = operation("dil_conv_3x3", 4, 1).eval(), torch.randn(2, 4, 8, 8)
    inner = F.conv2d(x.relu(), op[1].weight, padding=2, dilation=2, groups=4)
    torch.testing.assert_close(op(x), F.conv2d(inner, op[2].weight) / (1 + op[3].eps) ** 0.5)


def test_a_cell_by_hand() -> None:
    edges = (("skip_connect", 0), ("max_pool_3x3", 1), ("none", 0), ("skip_connect", 2), *SKIPS[:4])
    cell = Cell(edges, CellShape(6, 8, 4, reduces=False, after_reduction=True)).eval()
    before_last, last = torch.randn(2, 6, 8, 8), torch.randn(2, 8, 4, 4)
    zero, one = cell.before_last(before_last), cell.last(last)
    two = zero + F.max_pool2d(one, 3, stride=1, padding=1)
    torch.testing.assert_close(cell(before_last, last), torch.cat([two, two, zero + one, zero + one], dim=1))


def test_cells_are_chained_as_published() -> None:
    shapes = cell_shapes(36, 20, "cifar")
    assert [place for place, shape in enumerate(shapes) if shape.reduces] == [6, 13]
    assert shapes[0][:3] == (108, 108, 36) and shapes[1][:3] == (108, 144, 36) and shapes[-1][:3] == (576, 576, 144)
    net = DartsNet(lambda shape: Cell(SKIPS, shape), channels=4, n_cells=4, stem="cifar", num_classes=3)
    features = [tuple(f.shape[1:]) for f in net.block_features(torch.zeros(2, 3, 16, 16))]
    assert features == [(12, 16, 16), (16, 16, 16), (32, 8, 8), (64, 4, 4), (64, 4, 4)]


def test_the_stem_of_imagenet_divides_the_sides_by_eight() -> None:
    net = DartsNet(lambda shape: Cell(SKIPS, shape), channels=4, n_cells=3, stem="imagenet", num_classes=3)
    features = [tuple(f.shape[1:]) for f in net.block_features(torch.zeros(2, 3, 64, 64))]
    assert features == [(4, 8, 8), (16, 8, 8), (32, 4, 4), (64, 2, 2)]
