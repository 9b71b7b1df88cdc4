"""The NAS-Bench-101 space of convolutional cells (Ying et al., ICML 2019): 423,624 networks, trained by others."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.checks import check_fields, check_halvings, check_no_weights
from lswag_fast.spaces.encoding import read_json
from lswag_fast.spaces.image_space import ImageSpace
from lswag_fast.spaces.layers import IN_CHANNELS
from lswag_fast.spaces.nasbench101.cell import MAX_EDGES, MAX_VERTICES, OPS, Cell, parse_cell
from lswag_fast.spaces.nasbench101.model import N_STACKS, NasBench101Net
from lswag_fast.spaces.protocol import Arch, ChoosingTrial

_N_BETWEEN = MAX_VERTICES - 2
_MOST_JOINED = MAX_EDGES // 2  # vertices that the output reads, of which each reads an earlier one
_N_EDGES = MAX_VERTICES * (MAX_VERTICES - 1) // 2  # of the graph in which every vertex reads all before it
_EDGE_NAMES = tuple(f"{x}->{y}" for y in range(MAX_VERTICES) for x in range(y))  # in the order of a cell's bits
_N_GRAPHS = (1, 2, 10, 121, 1_545, 4_793)  # pruned, of at most nine edges, with 2, 3, ... 7 vertices


class NasBench101(ImageSpace):
    """The networks of one cell, as published: stem of 128 channels, three stacks of three cells, 32 pixels.

    An architecture is `{"matrix": [[0, 1], [0, 0]], "ops": ["input", "output"]}`, as the benchmark writes it: the upper
    triangular adjacency matrix of a graph of at most 7 vertices and 9 edges, and the operation of each vertex. What
    lies on no path from input to output is left out, before the vertices and edges are counted.

    Args:
        num_classes: logits; 10 in the benchmark.
        image_size: side of the square images in pixels, a multiple of 4.
        channels: of the stem and the first stack, at least 4; the second has twice, the third four times as many.
        cells_per_stack: cells in each of the three stacks.

    Raises:
        SpaceError: a value is not a positive whole number, too few channels, or the image cannot be halved twice.

    Example:
        >>> import torch
        >>> space = NasBench101(channels=16, cells_per_stack=1)
        >>> space.build(space.sample(random.Random(0)))(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    name = "nasbench101"
    FIELDS = ("num_classes", "image_size", "channels", "cells_per_stack")
    channels: int
    cells_per_stack: int

    def __init__(
        self, *, num_classes: int = 10, image_size: int = 32, channels: int = 128, cells_per_stack: int = 3
    ) -> None:
        self._set_sizes(
            num_classes=num_classes, image_size=image_size, channels=channels, cells_per_stack=cells_per_stack
        )
        if channels < _MOST_JOINED:
            raise SpaceError(
                f"channels: found {channels}, expected at least {_MOST_JOINED}, as many vertices share them"
            )
        check_halvings(image_size, N_STACKS - 1)

    @property
    def size(self) -> int:
        """Number of pruned cells. Other numberings of the vertices count as others; up to these there are 423,624.

        Example:
            >>> NasBench101().size
            1293208
        """
        return sum(n * len(OPS) ** between for between, n in enumerate(_N_GRAPHS))

    def sample(self, rng: random.Random) -> Arch:
        """Draw every edge of seven vertices by a fair coin and every operation uniformly, until the cell is a member.

        This is the benchmark's own random search. It does not draw all cells equally often.

        Args:
            rng: the only source of randomness.

        Returns:
            A member of the space.

        Example:
            >>> space = NasBench101()
            >>> space.sample(random.Random(0))["ops"]
            ['input', 'maxpool3x3', 'output']
        """
        while True:
            cell = _member(rng.getrandbits(_N_EDGES), [rng.choice(OPS) for _ in range(_N_BETWEEN)])
            if cell:
                return _arch(cell)

    def mutate(self, arch: Arch, rng: random.Random) -> Arch:
        """Flip an edge, give a vertex another operation or put in a new vertex, until the cell is another member.

        A new vertex reads one earlier vertex and is read by a later one; one that no path uses any more is left out.
        Departure from the benchmark's evolution, which flips each edge with probability 1/7 and keeps what pruning
        removes: from pruned cells this would rarely lead to large ones.

        Args:
            arch: a member of the space, which is left as it was.
            rng: the only source of randomness.

        Returns:
            A member of the space other than `arch`.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> space, rng = NasBench101(), random.Random(0)
            >>> arch = space.sample(rng)
            >>> space.mutate(arch, rng) == arch
            False
        """
        cell = self.cell(arch)
        while True:
            changed = rng.choice((_with_flipped_edge, _with_redrawn_op, _with_new_vertex))(cell, rng).pruned()
            if changed and changed != cell and changed.is_small_enough():
                return _arch(changed)

    def crossover(self, a: Arch, b: Arch, rng: random.Random) -> Arch:
        """Take each edge and each operation from one of the parents by a fair coin, until the cell is a member.

        Parents of fewer than seven vertices first get unconnected ones at random places.

        Args:
            a: a member of the space, which is left as it was.
            b: likewise.
            rng: the only source of randomness.

        Returns:
            A member of the space.

        Raises:
            SpaceError: a parent is not a member of the space.

        Example:
            >>> space, rng = NasBench101(), random.Random(0)
            >>> a, b = space.sample(rng), space.sample(rng)
            >>> space.decode(space.encode(space.crossover(a, b, rng))) is not None
            True
        """
        parents = self.cell(a), self.cell(b)
        while True:
            one, other = (_filled(parent, rng) for parent in parents)
            from_one = rng.getrandbits(_N_EDGES)
            ops = [rng.choice(pair) for pair in zip(one.ops, other.ops, strict=True)]
            child = _member(one.bits() & from_one | other.bits() & ~from_one, ops)
            if child:
                return _arch(child)

    def suggest(self, trial: ChoosingTrial) -> Arch:
        """Return the cell that a trial of Optuna chooses, see `Suggests`, pruned.

        It chooses edge_0 to edge_8 among the 21 edges of seven vertices, where several may be the same, and op_1 to
        op_5. Where no path leads from the input to the output, an edge joins them.
        """
        bits = 0
        for place in range(MAX_EDGES):
            bits |= 1 << _EDGE_NAMES.index(trial.suggest_categorical(f"edge_{place}", _EDGE_NAMES))
        ops = [trial.suggest_categorical(f"op_{vertex}", OPS) for vertex in range(1, _N_BETWEEN + 1)]
        return _arch(Cell.from_bits(bits, ops).pruned() or Cell((0, 1), ()))

    def suggested(self, arch: Arch) -> dict[str, Any]:
        """Return choices that a cell is made of, see `Suggests`; its vertices come first, its last edge repeatedly."""
        cell = self.cell(arch)
        places = [*range(len(cell.sources) - 1), MAX_VERTICES - 1]
        pairs = [(x, y) for y, mask in enumerate(cell.sources) for x in range(y) if mask >> x & 1]
        names = [f"{places[x]}->{places[y]}" for x, y in pairs]
        names += names[-1:] * (MAX_EDGES - len(names))
        ops = [*cell.ops, *OPS[:1] * (_N_BETWEEN - len(cell.ops))]
        chosen = {f"op_{vertex}": op for vertex, op in enumerate(ops, 1)}
        return {**{f"edge_{place}": name for place, name in enumerate(names)}, **chosen}

    def cell(self, arch: Arch) -> Cell:
        """Return the pruned cell of an architecture.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> NasBench101().cell({"matrix": [[0, 1], [0, 0]], "ops": ["input", "output"]})
            Cell(sources=(0, 1), ops=())
        """
        check_fields(arch, "matrix", "ops")
        return parse_cell(arch["matrix"], arch["ops"])

    def encode(self, arch: Arch) -> str:
        """Return an architecture, pruned, as one line of JSON.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> unread = {"matrix": [[0, 1, 1], [0, 0, 0], [0, 0, 0]], "ops": ["input", "maxpool3x3", "output"]}
            >>> NasBench101().encode(unread)
            '{"matrix":[[0,1],[0,0]],"ops":["input","output"]}'
        """
        return json.dumps(_arch(self.cell(arch)), separators=(",", ":"))

    def decode(self, text: str) -> Arch:
        """Return the architecture, pruned, of a line of JSON.

        Raises:
            SpaceError: the text is anything else.

        Example:
            >>> NasBench101().decode('{"matrix": [[0, 1], [0, 0]], "ops": ["input", "output"]}')
            {'matrix': [[0, 1], [0, 0]], 'ops': ['input', 'output']}
        """
        return _arch(self.cell(read_json(text)))

    def canonical(self, arch: Arch) -> str:
        """Return the hash by which the benchmark tells cells apart, the same for every numbering of the vertices.

        It is taken of the pruned cell; no other equivalences are.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> NasBench101().canonical({"matrix": [[0, 1], [0, 0]], "ops": ["input", "output"]})
            '043721b9c7fe8c5fad811d47d83132ec'
        """
        return self.cell(arch).isomorphism_hash()

    def n_params(self, arch: Arch) -> int:
        """Return the number of parameters of `build(arch)`, in closed form; those that the benchmark gives.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> NasBench101().n_params({"matrix": [[0, 1], [0, 0]], "ops": ["input", "output"]})
            882570
        """
        cell = self.cell(arch)
        total = _weights([(3, IN_CHANNELS, self.channels)]) + 2 * self.channels
        for in_channels, width, _ in self._blocks():
            convolutions = cell.convolutions(in_channels, width)
            total += _weights(convolutions) + 2 * sum(channels for _, _, channels in convolutions)
        return total + (width + 1) * self.num_classes

    def macs(self, arch: Arch) -> int:
        """Return the multiply-accumulates of one image through `build(arch)`: convolutions and the classifier.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> NasBench101().macs({"matrix": [[0, 1], [0, 0]], "ops": ["input", "output"]})
            137761792
        """
        cell = self.cell(arch)
        total = _weights([(3, IN_CHANNELS, self.channels)]) * self.image_size**2
        for in_channels, width, positions in self._blocks():
            total += positions * _weights(cell.convolutions(in_channels, width))
        return total + width * self.num_classes

    def build(self, arch: Arch, weights: Mapping[str, Tensor] | None = None) -> NasBench101Net:
        """Build the network: images (B, 3, image_size, image_size) -> logits (B, num_classes), in train mode.

        Args:
            arch: a member of the space.
            weights: must be None, these networks share none. They are drawn with torch's global generator, as torch
                initialises convolutions.

        Raises:
            SpaceError: `weights` are given, or `arch` is not a member of the space.

        Example:
            >>> import torch
            >>> space = NasBench101(image_size=8, channels=4, cells_per_stack=1)
            >>> space.build(space.sample(random.Random(0)))(torch.zeros(2, 3, 8, 8)).shape
            torch.Size([2, 10])
        """
        check_no_weights(self.name, weights)
        return NasBench101Net(self.cell(arch), self.channels, self.cells_per_stack, self.num_classes)

    def _blocks(self) -> list[tuple[int, int, int]]:
        """Channels in, channels out and positions of the maps of each cell."""
        blocks = []
        for stack in range(N_STACKS):
            width, positions = self.channels << stack, (self.image_size >> stack) ** 2
            first = (width // 2 if stack else width, width, positions)
            blocks += [first, *[(width, width, positions)] * (self.cells_per_stack - 1)]
        return blocks


def _arch(cell: Cell) -> Arch:
    return {"matrix": cell.matrix(), "ops": ["input", *cell.ops, "output"]}


def _member(bits: int, ops: Sequence[str]) -> Cell | None:
    """The pruned cell of these edges and operations; None where it is no member of the space."""
    cell = Cell.from_bits(bits, ops).pruned()
    return cell if cell and cell.is_small_enough() else None


def _with_flipped_edge(cell: Cell, rng: random.Random) -> Cell:
    n_vertices = len(cell.sources)
    return Cell.from_bits(cell.bits() ^ 1 << rng.randrange(n_vertices * (n_vertices - 1) // 2), cell.ops)


def _with_redrawn_op(cell: Cell, rng: random.Random) -> Cell:
    if not cell.ops:
        return cell
    ops = list(cell.ops)
    ops[rng.randrange(len(ops))] = rng.choice(OPS)
    return Cell(cell.sources, tuple(ops))


def _with_new_vertex(cell: Cell, rng: random.Random) -> Cell:
    place = rng.randrange(1, len(cell.sources))
    below = (1 << place) - 1
    sources = [mask & below | (mask & ~below) << 1 for mask in cell.sources]
    sources.insert(place, 1 << rng.randrange(place))
    sources[rng.randrange(place + 1, len(sources))] |= 1 << place
    ops = list(cell.ops)
    ops.insert(place - 1, rng.choice(OPS))
    return Cell(tuple(sources), tuple(ops))


def _filled(cell: Cell, rng: random.Random) -> Cell:
    """The same cell with unconnected vertices at random places, seven in all."""
    places = [0, *sorted(rng.sample(range(1, MAX_VERTICES - 1), len(cell.ops))), MAX_VERTICES - 1]
    sources = [0] * MAX_VERTICES
    for old, new in enumerate(places):
        sources[new] = sum(1 << places[x] for x in range(old) if cell.sources[old] >> x & 1)
    ops = [rng.choice(OPS) for _ in range(_N_BETWEEN)]
    for new, op in zip(places[1:-1], cell.ops, strict=True):
        ops[new - 1] = op
    return Cell(tuple(sources), tuple(ops))


def _weights(convolutions: list[tuple[int, int, int]]) -> int:
    return sum(kernel * kernel * in_channels * channels for kernel, in_channels, channels in convolutions)
