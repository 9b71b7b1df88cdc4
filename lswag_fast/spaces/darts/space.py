"""The DARTS space (Liu et al., ICLR 2019), also that of NAS-Bench-301: a normal and a reduction cell."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from math import prod
from typing import Any, Literal

from torch import Tensor, nn

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.checks import check_fields, check_halvings, check_no_weights
from lswag_fast.spaces.darts import supernet
from lswag_fast.spaces.darts.genotype import N_INPUTS, NODES, OPS, Edges, Genotype, parse_edges, parse_genotype
from lswag_fast.spaces.darts.model import Cell, CellShape, DartsNet, cell_shapes
from lswag_fast.spaces.encoding import read_json
from lswag_fast.spaces.image_space import ImageSpace
from lswag_fast.spaces.layers import IN_CHANNELS
from lswag_fast.spaces.protocol import Alive, Arch, ChoosingTrial, Removal

_DRAWN_OPS = supernet.DRAWN_OPS
_HALVINGS = {"cifar": 2, "imagenet": 5}


class Darts(ImageSpace):
    """The networks of two cells: 20 cells of 36 channels at 32 pixels, or the ImageNet network.

    An architecture is `{"normal": [["sep_conv_3x3", 0], ...], "reduce": [...]}`: for each of the nodes 2 to 5 of a cell
    two edges, each with the node that it comes from. Published searches choose two different nodes and no `none`;
    tables hold other cells, too, so both are members here. The auxiliary head, a help in training, is left out.

    Args:
        num_classes: logits.
        image_size: side of the square images in pixels, a multiple of 4, with the ImageNet stem of 32.
        channels: of a node in the first cells.
        n_cells: at least three; those at one and two thirds are reduction cells.
        stem: "cifar", or "imagenet", which divides the sides by 8. The published ImageNet network is
            `Darts(num_classes=1000, image_size=224, channels=48, n_cells=14, stem="imagenet")`.

    Raises:
        SpaceError: a value is not a positive whole number, or the network cannot be built with it.

    Example:
        >>> import torch
        >>> space = Darts(channels=4, n_cells=3, image_size=8)
        >>> space.build(space.sample(random.Random(0)))(torch.zeros(2, 3, 8, 8)).shape
        torch.Size([2, 10])
    """

    FIELDS = ("num_classes", "image_size", "channels", "n_cells", "stem")
    channels: int
    n_cells: int

    def __init__(
        self,
        *,
        num_classes: int = 10,
        image_size: int = 32,
        channels: int = 36,
        n_cells: int = 20,
        stem: Literal["cifar", "imagenet"] = "cifar",
    ) -> None:
        self._set_sizes(num_classes=num_classes, image_size=image_size, channels=channels, n_cells=n_cells)
        if not isinstance(stem, str) or stem not in _HALVINGS:
            raise SpaceError(f"stem: found {stem!r}, expected cifar or imagenet")
        if n_cells < 3:
            raise SpaceError(f"n_cells: found {n_cells}, expected at least 3, of which two are reduction cells")
        if channels % 2:
            raise SpaceError(f"channels: found {channels}, expected an even number, which reductions halve")
        check_halvings(image_size, _HALVINGS[stem])
        self.stem = stem

    @property
    def name(self) -> str:
        """`darts`, or `darts-imagenet` with that stem."""
        return "darts" if self.stem == "cifar" else "darts-imagenet"

    @property
    def size(self) -> int:
        """Number of genotypes, the order of a node's two edges not counted.

        Example:
            >>> f"{Darts().size:.2e}"
            '3.12e+20'
        """
        edges = [len(OPS) * node for node in NODES]
        size: int = prod(n * (n + 1) // 2 for n in edges) ** 2
        return size

    def sample(self, rng: random.Random) -> Arch:
        """Draw, for every node, two different sources and two operations other than `none`, uniformly.

        Args:
            rng: the only source of randomness.

        Returns:
            A member of the space.

        Example:
            >>> list(Darts().sample(random.Random(0)))
            ['normal', 'reduce']
        """
        cells = ([edge for node in NODES for edge in _drawn(node, rng)] for _ in range(2))
        return _arch(Genotype(*(parse_edges("cell", edges) for edges in cells)))

    def mutate(self, arch: Arch, rng: random.Random) -> Arch:
        """Give one edge another operation, or another source that its node does not read yet.

        Args:
            arch: a member of the space, which is left as it was.
            rng: the only source of randomness.

        Returns:
            A member of the space other than `arch`.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> space, rng = Darts(), random.Random(0)
            >>> arch = space.sample(rng)
            >>> space.mutate(arch, rng) == arch
            False
        """
        cells = [list(cell) for cell in self.genotype(arch)]
        cell, place = rng.choice(cells), rng.randrange(2 * len(NODES))
        op, source = cell[place]
        taken = source, cell[place ^ 1][1]
        sources = [node for node in range(NODES[place // 2]) if node not in taken]
        if sources and rng.random() < 0.5:
            cell[place] = op, rng.choice(sources)
        else:
            cell[place] = rng.choice([other for other in _DRAWN_OPS if other != op]), source
        return _arch(Genotype(*(parse_edges("cell", edges) for edges in cells)))

    def crossover(self, a: Arch, b: Arch, rng: random.Random) -> Arch:
        """Take both edges of each node from one of the parents by a fair coin.

        Args:
            a: a member of the space, which is left as it was.
            b: likewise.
            rng: the only source of randomness.

        Returns:
            A member of the space.

        Raises:
            SpaceError: a parent is not a member of the space.

        Example:
            >>> space, rng = Darts(), random.Random(0)
            >>> a = space.sample(rng)
            >>> space.crossover(a, a, rng) == a
            True
        """
        cells = []
        for pair in zip(self.genotype(a), self.genotype(b), strict=True):
            cells.append(tuple(edge for i in range(len(NODES)) for edge in rng.choice(pair)[2 * i : 2 * i + 2]))
        return _arch(Genotype(*cells))

    def suggest(self, trial: ChoosingTrial) -> Arch:
        """Return the genotype that a trial of Optuna chooses, see `Suggests`, one of those that `sample` draws.

        For each node of each cell it chooses "normal 2 sources", say, which has one choice for node 2, and the
        operations on both edges.
        """
        cells: dict[str, list[tuple[str, int]]] = {}
        for cell in supernet.CELLS:
            cells[cell] = []
            for node in NODES:
                sources = trial.suggest_categorical(f"{cell} {node} sources", _source_pairs(node))
                for place, source in enumerate(map(int, sources.split())):
                    cells[cell].append((trial.suggest_categorical(f"{cell} {node} op_{place}", _DRAWN_OPS), source))
        return _arch(Genotype(*(parse_edges(cell, edges) for cell, edges in cells.items())))

    def suggested(self, arch: Arch) -> dict[str, Any]:
        """Return the choices that a genotype is made of, see `Suggests`.

        Raises:
            SpaceError: `arch` is not a member, or has a `none` or an edge twice, which no choice makes.
        """
        found: dict[str, Any] = {}
        for cell, edges in self.genotype(arch)._asdict().items():
            for place, node in enumerate(NODES):
                (op, source), (other_op, other) = edges[2 * place : 2 * place + 2]
                if source == other or "none" in (op, other_op):
                    raise SpaceError(f"{cell}: node {node} reads a node twice or `none`, which no choices make")
                found[f"{cell} {node} sources"] = f"{source} {other}"
                found |= {f"{cell} {node} op_0": op, f"{cell} {node} op_1": other_op}
        return found

    def genotype(self, arch: Arch) -> Genotype:
        """Return the genotype of an architecture; its `text()` is in the usual notation.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> edges = [["skip_connect", 0], ["skip_connect", 1]] * 4
            >>> Darts().genotype({"normal": edges, "reduce": edges}).normal[0]
            ('skip_connect', 0)
        """
        check_fields(arch, "normal", "reduce")
        return Genotype(parse_edges("normal", arch["normal"]), parse_edges("reduce", arch["reduce"]))

    def encode(self, arch: Arch) -> str:
        """Return an architecture as one line of JSON, the edges of a node in the order of their sources.

        Raises:
            SpaceError: `arch` is not a member of the space.
        """
        return json.dumps(_arch(self.genotype(arch)), separators=(",", ":"))

    def decode(self, text: str) -> Arch:
        """Return the architecture of a line of JSON, or of a genotype in the usual notation.

        Raises:
            SpaceError: the text is anything else.

        Example:
            >>> edges = [("skip_connect", 0), ("skip_connect", 1)] * 4
            >>> nodes = "range(2, 6)"
            >>> text = f"Genotype(normal={edges}, normal_concat={nodes}, reduce={edges}, reduce_concat={nodes})"
            >>> Darts().decode(text)["reduce"][1]
            ['skip_connect', 1]
        """
        if isinstance(text, str) and text.lstrip().startswith("Genotype("):
            return _arch(parse_genotype(text))
        return _arch(self.genotype(read_json(text)))

    def n_params(self, arch: Arch) -> int:
        """Return the number of parameters of `build(arch)`, in closed form; without the auxiliary head, as published.

        Raises:
            SpaceError: `arch` is not a member of the space.
        """
        return self._n_params(self.genotype(arch))

    def _n_params(self, cells: Genotype) -> int:
        total = sum(weights + 2 * channels for weights, channels, _ in self._stem())
        for shape, _ in self._cells():
            weights, norms = _cell_weights(_edges(cells, shape), shape)
            total += weights + shape.channels * (shape.before_last + shape.last) + 2 * shape.channels * (norms + 2)
        return total + (len(NODES) * shape.channels + 1) * self.num_classes

    def macs(self, arch: Arch) -> int:
        """Return the multiply-accumulates of one image through `build(arch)`: convolutions and the classifier.

        Raises:
            SpaceError: `arch` is not a member of the space.
        """
        return self._macs(self.genotype(arch))

    def _macs(self, cells: Genotype) -> int:
        total = sum(weights * side**2 for weights, _, side in self._stem())
        for shape, side in self._cells():
            weights, _ = _cell_weights(_edges(cells, shape), shape)
            total += weights * (side >> shape.reduces) ** 2
            total += shape.channels * (shape.before_last + shape.last) * side**2
        return total + len(NODES) * shape.channels * self.num_classes

    def build(self, arch: Arch, weights: Mapping[str, Tensor] | None = None) -> DartsNet:
        """Build the network: images (B, 3, image_size, image_size) -> logits (B, num_classes), in train mode.

        Args:
            arch: a member of the space.
            weights: must be None, these networks share none. They are drawn with torch's global generator, as torch
                initialises convolutions.

        Raises:
            SpaceError: `weights` are given, or `arch` is not a member of the space.
        """
        check_no_weights(self.name, weights)
        genotype = self.genotype(arch)
        return self._network(lambda shape: Cell(_edges(genotype, shape), shape))

    @property
    def edges(self) -> Mapping[str, tuple[str, ...]]:
        """The edges of a supernet, "normal 0->2" say, and the operations of each: all but `none`."""
        return supernet.EDGES

    def supernet(self, alive: Alive) -> DartsNet:
        """Build the network in which a node sums all its edges, an edge being the mean of its operations.

        The weights of an operation do not depend on which others are alive.

        Raises:
            SpaceError: an edge is dead, or a node has fewer than two; it is named.
        """
        cells = supernet.mixed_cells(alive)
        return self._network(lambda shape: supernet.MixedCell(cells.reduce if shape.reduces else cells.normal, shape))

    def supernet_costs(self, alive: Alive) -> tuple[int, int]:
        """Return the number of parameters of a supernet, and the multiply-accumulates of one image.

        Raises:
            SpaceError: an edge is dead, or a node has fewer than two; it is named.
        """
        cells = supernet.mixed_cells(alive)
        flat = Genotype(*(tuple((op, edge.source) for edge in cell for op in edge.ops) for cell in cells))
        return self._n_params(flat), self._macs(flat)

    def removals(self, alive: Alive) -> list[list[Removal]]:
        """Return what can be removed at once: of each edge an operation; then of each node an edge, while it has three.

        Raises:
            SpaceError: `alive` is no supernet.
        """
        return supernet.removals(alive)

    def path(self, alive: Alive) -> Arch:
        """Return the architecture of a supernet of which nothing can be removed any more; else raise SpaceError."""
        return supernet.path(alive)

    def _network(self, make: Callable[[CellShape], nn.Module]) -> DartsNet:
        return DartsNet(make, self.channels, self.n_cells, self.stem, self.num_classes)

    def _stem(self) -> list[tuple[int, int, int]]:
        """Weights, channels and side of the map of each convolution of the stem."""
        width, side = self.channels, self.image_size
        if self.stem == "cifar":
            return [(9 * IN_CHANNELS * 3 * width, 3 * width, side)]
        half = width // 2
        later = [(9 * half * width, width, side // 4), (9 * width * width, width, side // 8)]
        return [(9 * IN_CHANNELS * half, half, side // 2), *later]

    def _cells(self) -> list[tuple[CellShape, int]]:
        """The shape of each cell, and the side of the maps that its nodes 0 and 1 are."""
        side, cells = self.image_size >> (0 if self.stem == "cifar" else 3), []
        for shape in cell_shapes(self.channels, self.n_cells, self.stem):
            cells.append((shape, side))
            side >>= shape.reduces
        return cells


def _arch(genotype: Genotype) -> Arch:
    return {field: [list(edge) for edge in edges] for field, edges in genotype._asdict().items()}


def _drawn(node: int, rng: random.Random) -> list[tuple[str, int]]:
    return [(rng.choice(_DRAWN_OPS), source) for source in sorted(rng.sample(range(node), 2))]


def _source_pairs(node: int) -> tuple[str, ...]:
    return tuple(f"{one} {other}" for other in range(node) for one in range(other))


def _edges(genotype: Genotype, shape: CellShape) -> Edges:
    return genotype.reduce if shape.reduces else genotype.normal


def _cell_weights(edges: Edges, shape: CellShape) -> tuple[int, int]:
    """Weights of the convolutions on a cell's edges, and how many BatchNorms follow them."""
    channels, weights, norms = shape.channels, 0, 0
    for op, source in edges:
        if "conv" in op:
            times = 2 if op.startswith("sep") else 1
            weights += times * (int(op[-1]) ** 2 * channels + channels * channels)
            norms += times
        elif op == "skip_connect" and shape.reduces and source < N_INPUTS:
            weights += channels * channels
            norms += 1
    return weights, norms
