"""The graph of a cell: pruning, channels and hash, by hand and against the published ones."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.nasbench101.cell import OPS, Cell, parse_cell
from support.published import published_file

CONV3, CONV1, POOL = OPS


def matrix_of(n_vertices: int, *edges: tuple[int, int]) -> list[list[int]]:
    return [[int((x, y) in edges) for y in range(n_vertices)] for x in range(n_vertices)]


def cell_of(ops: str, *edges: tuple[int, int]) -> Cell:
    """The cell with an operation for each of the letters 3, 1 and m."""
    names = {"3": CONV3, "1": CONV1, "m": POOL}
    return parse_cell(matrix_of(len(ops) + 2, *edges), ["input", *(names[op] for op in ops), "output"])


def test_vertices_on_no_path_are_pruned() -> None:
    """Vertex 2 leads nowhere, vertex 3 comes from nowhere."""
    cell = cell_of("31m3", (0, 1), (0, 2), (3, 4), (1, 4), (4, 5))
    assert cell == Cell((0, 0b1, 0b10, 0b100), (CONV3, CONV3))
    assert cell.pruned() == cell
    assert cell.matrix() == matrix_of(4, (0, 1), (1, 2), (2, 3))
    assert Cell.from_bits(cell.bits(), cell.ops) == cell


def test_limits_hold_for_what_is_left_after_pruning() -> None:
    """Nine vertices, of which six lead nowhere, and more than nine edges."""
    unread = [(0, 2), (0, 3), (0, 4), (0, 5), (0, 6), (0, 7), (2, 3), (2, 4), (2, 5), (2, 6)]
    assert len(cell_of("3333333", (0, 1), (1, 8), *unread).sources) == 3


@pytest.mark.parametrize(
    ("edges", "channels"),
    [
        ([(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4)], [0, 43, 43, 42, 128]),  # 128 = 43 + 43 + 42
        ([(0, 1), (1, 2), (1, 3), (2, 4), (3, 4)], [0, 64, 64, 64, 128]),
        ([(0, 1), (1, 2), (2, 3), (3, 4), (1, 4)], [0, 64, 64, 64, 128]),
        ([(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)], [0, 128, 128, 128, 128]),  # the input takes no share
    ],
)
def test_channels_by_hand(edges: list[tuple[int, int]], channels: list[int]) -> None:
    assert cell_of("333", *edges).channels(128) == channels


def test_a_vertex_is_as_wide_as_the_widest_that_reads_it() -> None:
    cell = cell_of("3333", (0, 1), (1, 2), (1, 3), (1, 4), (2, 5), (3, 5), (4, 5))
    assert cell.channels(128) == [0, 43, 43, 43, 42, 128]


def test_convolutions_by_hand() -> None:
    cell = cell_of("3m1", (0, 1), (1, 2), (2, 4), (0, 3), (3, 4), (0, 4))
    found = cell.convolutions(in_channels=16, width=32)
    assert sorted(found) == sorted([(1, 16, 16), (3, 16, 16), (1, 16, 16), (1, 16, 16), (1, 16, 32)])


def test_the_hash_is_that_of_any_numbering() -> None:
    """Over all orders of four vertices that stay topological, and different for another operation."""
    edges = [(0, 1), (0, 2), (1, 3), (2, 3), (2, 4), (3, 5), (4, 5)]
    hashes = set()
    for order in itertools.permutations(range(1, 5)):
        new = {0: 0, 5: 5, **{old: place for place, old in enumerate(order, 1)}}
        if all(new[x] < new[y] for x, y in edges):
            ops = "".join("31m3"[old - 1] for old in order)
            hashes.add(cell_of(ops, *[(new[x], new[y]) for x, y in edges]).isomorphism_hash())
    assert len(hashes) == 1
    assert cell_of("31m1", *edges).isomorphism_hash() not in hashes


def test_hashes_lie_in_the_published_order() -> None:
    """`row` is the rank of the hash among those of all cells."""
    data = np.load(published_file("nasbench101", "nb101_60000.npz"))
    chosen = slice(None, None, 60)
    columns = (data[name][chosen] for name in ("row", "n_vertices", "edge_bits", "ops"))
    rows = [
        (row, Cell.from_bits(int(bits), [OPS[op] for op in ops[: n - 2]]))
        for row, n, bits, ops in zip(*columns, strict=True)
    ]
    hashes = [cell.isomorphism_hash() for _, cell in sorted(rows, key=lambda found: found[0])]
    assert hashes == sorted(set(hashes))
    assert len(hashes) == 1000


@pytest.mark.parametrize(
    ("matrix", "ops", "message"),
    [
        (
            matrix_of(3, (0, 1), (1, 2)),
            ["input", "conv5x5-bn-relu", "output"],
            "ops: found 'conv5x5-bn-relu', expected one",
        ),
        (matrix_of(3, (0, 1), (1, 2)), [CONV3, CONV3, "output"], "expected a list from 'input' to 'output'"),
        (matrix_of(3, (0, 1), (1, 2)), "input", "ops: found input, expected a list"),
        (matrix_of(3, (0, 1), (1, 2)), ["input", "output"], "matrix: expected 2 rows of 2 values 0 or 1"),
        ([[0, 2], [0, 0]], ["input", "output"], "matrix: expected 2 rows of 2 values 0 or 1"),
        ([[0, [1]], [0, 0]], ["input", "output"], "matrix: expected 2 rows"),
        ([0, 1], ["input", "output"], "matrix: expected 2 rows"),
        (matrix_of(3, (0, 1), (1, 2), (2, 1)), ["input", CONV3, "output"], "matrix: the edge 2 -> 1 leads back"),
        (matrix_of(3, (0, 1), (1, 1), (1, 2)), ["input", CONV3, "output"], "matrix: the edge 1 -> 1 leads back"),
        (matrix_of(3, (0, 1)), ["input", CONV3, "output"], "matrix: no path leads from the input to the output"),
        (
            matrix_of(8, *[(v, v + 1) for v in range(7)]),
            ["input", *[CONV3] * 6, "output"],
            "matrix: 8 vertices lie on paths to the output, at most 7 may",
        ),
        (
            matrix_of(5, *itertools.combinations(range(5), 2)),
            ["input", *[CONV3] * 3, "output"],
            "matrix: 10 edges lie on paths to the output, at most 9 may",
        ),
    ],
)
def test_what_is_no_cell_is_refused(matrix: Any, ops: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        parse_cell(matrix, ops)
