"""Supernets of the DARTS space: every node reads all nodes before it, by the mean of the operations of an edge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.darts.genotype import N_INPUTS, NODES, OPS
from lswag_fast.spaces.darts.model import CellShape, cell_inputs, operation
from lswag_fast.spaces.layers import Mixture
from lswag_fast.spaces.protocol import Alive, Arch, Removal
from lswag_fast.spaces.supernets import check_alive, edge_removals

DRAWN_OPS = OPS[1:]
"""The operations that searches choose from: all but `none`."""
CELLS = ("normal", "reduce")
EDGES = {f"{cell} {source}->{node}": DRAWN_OPS for cell in CELLS for node in NODES for source in range(node)}
"""The operations of each edge, by the name of its cell, its source and its node."""
EDGES_OF_A_NODE = 2


class MixedEdge(NamedTuple):
    """The operations that are alive on an edge of a cell."""

    source: int
    node: int
    ops: Sequence[str]


class MixedCell(nn.Module):
    """A cell whose nodes each sum their edges, an edge being the mean of its operations."""

    def __init__(self, edges: Sequence[MixedEdge], shape: CellShape) -> None:
        super().__init__()
        self.before_last, self.last = cell_inputs(shape)
        self.places = [(edge.source, edge.node) for edge in edges]
        alive = {(edge.source, edge.node): edge.ops for edge in edges}
        kept = []
        for node in NODES:
            for source in range(node):
                stride = 2 if shape.reduces and source < N_INPUTS else 1
                # Dead ones are drawn too: the weights of an operation do not depend on which others are alive.
                drawn = {op: operation(op, shape.channels, stride) for op in DRAWN_OPS}
                if (source, node) in alive:
                    kept.append(Mixture([drawn[op] for op in alive[source, node]]))
        self.edges = nn.ModuleList(kept)

    def forward(self, before_last: Tensor, last: Tensor) -> Tensor:
        """Map the last two outputs to (B, 4 channels, H, W)."""
        states = [self.before_last(before_last), self.last(last)]
        for node in NODES:
            read = zip(self.edges, self.places, strict=True)
            states.append(reduce(add, [edge(states[source]) for edge, (source, to) in read if to == node]))
        return torch.cat(states[N_INPUTS:], dim=1)


class MixedCells(NamedTuple):
    """The edges of both cells, as a `Genotype` has them."""

    normal: tuple[MixedEdge, ...]
    reduce: tuple[MixedEdge, ...]


def mixed_cells(alive: Alive) -> MixedCells:
    """Return the edges of both cells that are alive; a node may do without all but two of its edges.

    Raises:
        SpaceError: names an edge that is unknown or has no operation, or those that a node lacks.

    Example:
        >>> alive = {edge: ["skip_connect"] for edge in EDGES}
        >>> mixed_cells(alive).normal[0]
        MixedEdge(source=0, node=2, ops=['skip_connect'])
        >>> del alive["reduce 1->2"]
        >>> mixed_cells(alive)
        Traceback (most recent call last):
        lswag_fast.errors.SpaceError: alive: node 2 of the cell reduce reads too few edges, 1->2 are dead; leave two
    """
    kept = {edge: ops for edge, ops in EDGES.items() if edge in alive} if isinstance(alive, Mapping) else EDGES
    check_alive(kept, alive)
    cells = []
    for cell in CELLS:
        places = [(source, node) for node in NODES for source in range(node)]
        names = {place: f"{cell} {place[0]}->{place[1]}" for place in places}
        for node in NODES:
            dead = [f"{source}->{node}" for source in range(node) if names[source, node] not in alive]
            if node - len(dead) < EDGES_OF_A_NODE:
                raise SpaceError(
                    f"alive: node {node} of the cell {cell} reads too few edges, {', '.join(dead)} are dead; leave two"
                )
        cells.append(tuple(MixedEdge(*place, alive[name]) for place, name in names.items() if name in alive))
    return MixedCells(*cells)


def removals(alive: Alive) -> list[list[Removal]]:
    """Return what can be removed at once: of each edge an operation; then of each node an edge, while it has three.

    Raises:
        SpaceError: it is no supernet, see `mixed_cells`.
    """
    cells = mixed_cells(alive)
    found = edge_removals(alive)
    if found:
        return found
    for name, cell in zip(CELLS, cells, strict=True):
        for node in NODES:
            read = [(f"{name} {edge.source}->{node}", edge.ops[0]) for edge in cell if edge.node == node]
            if len(read) > EDGES_OF_A_NODE:
                found.append(read)
    return found


def path(alive: Alive) -> Arch:
    """Return the architecture of a supernet of which nothing can be removed any more.

    Raises:
        SpaceError: there are several.
    """
    if removals(alive):
        raise SpaceError("alive: several operations or edges are left to choose from; remove all but one path")
    cells = mixed_cells(alive)
    return {name: [[edge.ops[0], edge.source] for edge in cell] for name, cell in cells._asdict().items()}
