"""What is alive in the two cells of DARTS: by hand, and nodes that read too little."""

from __future__ import annotations

import pytest
import torch

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.darts.model import CellShape
from lswag_fast.spaces.darts.supernet import EDGES, MixedCell, MixedEdge, mixed_cells, path, removals
from lswag_fast.spaces.supernets import without


def test_a_cell_by_hand() -> None:
    edges = [MixedEdge(0, 2, ["max_pool_3x3", "skip_connect"]), MixedEdge(1, 2, ["skip_connect"])]
    edges += [MixedEdge(source, node, ["skip_connect"]) for node in (3, 4, 5) for source in (0, node - 1)]
    cell = MixedCell(edges, CellShape(4, 4, 4, reduces=False, after_reduction=False)).eval()
    x = torch.randn(2, 4, 6, 6)
    zero, one = cell.before_last(x), cell.last(x)
    two = (torch.nn.functional.max_pool2d(zero, 3, 1, 1) + zero) / 2 + one
    three, four, five = two + zero, two + 2 * zero, two + 3 * zero
    torch.testing.assert_close(cell(x, x), torch.cat([two, three, four, five], dim=1))


def test_edges_leave_a_node_until_there_are_two() -> None:
    alive = {edge: ["skip_connect"] for edge in EDGES}
    sizes = []
    while groups := removals(alive):
        sizes.append([len(group) for group in groups])
        alive = without(alive, *(group[0] for group in groups))
    assert sizes == [[3, 4, 5] * 2, [3, 4] * 2, [3] * 2]
    assert path(alive)["reduce"][-2:] == [["skip_connect", 3], ["skip_connect", 4]]


def test_a_node_needs_two_edges() -> None:
    alive = {edge: ["skip_connect"] for edge in EDGES if edge not in ("normal 0->3", "normal 2->3")}
    with pytest.raises(SpaceError, match="node 3 of the cell normal reads too few edges, 0->3, 2->3 are dead"):
        mixed_cells(alive)
    with pytest.raises(SpaceError, match="several operations or edges are left"):
        path(EDGES)
