"""The NAS-Bench-201 space of convolutional cells (Dong and Yang, ICLR 2020): 15,625 networks, trained by others."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.checks import check_fields, check_halvings, check_no_weights
from lswag_fast.spaces.encoding import read_json
from lswag_fast.spaces.image_space import ImageSpace
from lswag_fast.spaces.isomorphism import Edge, Kind, canonical_cell
from lswag_fast.spaces.layers import IN_CHANNELS
from lswag_fast.spaces.nasbench201.model import EDGES, N_NODES, N_STAGES, OPS, NasBench201Net, mixture, operation
from lswag_fast.spaces.protocol import Alive, Arch, ChoosingTrial, Removal
from lswag_fast.spaces.supernets import check_alive, edge_removals

_NAMES = tuple(f"{source}->{node}" for node, source in EDGES)
"""What the edges of a supernet are called."""
_KINDS: dict[str, Kind] = dict(zip(OPS, ("nothing", "identity", "layer", "layer", "linear"), strict=True))
_KERNEL_SIZES = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}
_EDGE = re.compile(r"(\w+)~(\d)")


class NasBench201(ImageSpace):
    """The networks of one cell, as published: 16 channels, five cells per stage, 32 pixels (16 for ImageNet16-120).

    An architecture is `{"cell": "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"}`, the benchmark's own string: for each node the
    operations of its edges, each with the node it comes from.

    Args:
        num_classes: logits; 10, 100 and 120 in the benchmark.
        image_size: side of the square images in pixels, a multiple of 4.
        channels: of the first stage; the second has twice, the third four times as many.
        cells_per_stage: cells in each of the three stages.

    Raises:
        SpaceError: a value is not a positive whole number, or the image cannot be halved twice.

    Example:
        >>> import torch
        >>> space = NasBench201(num_classes=100)
        >>> space.build(space.sample(random.Random(0)))(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 100])
    """

    name = "nasbench201"
    FIELDS = ("num_classes", "image_size", "channels", "cells_per_stage")
    channels: int
    cells_per_stage: int

    def __init__(
        self, *, num_classes: int = 10, image_size: int = 32, channels: int = 16, cells_per_stage: int = 5
    ) -> None:
        self._set_sizes(
            num_classes=num_classes, image_size=image_size, channels=channels, cells_per_stage=cells_per_stage
        )
        check_halvings(image_size, N_STAGES - 1)

    @property
    def size(self) -> int:
        """Number of cells: five operations on six edges. Many are the same network, see `canonical`.

        Example:
            >>> NasBench201().size
            15625
        """
        size: int = len(OPS) ** len(EDGES)
        return size

    def sample(self, rng: random.Random) -> Arch:
        """Draw every edge's operation uniformly.

        Args:
            rng: the only source of randomness.

        Returns:
            A member of the space.

        Example:
            >>> NasBench201().sample(random.Random(0))
            {'cell': '|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_3x3~2|'}
        """
        return _arch([rng.choice(OPS) for _ in EDGES])

    def mutate(self, arch: Arch, rng: random.Random) -> Arch:
        """Give one edge another operation, as the benchmark's evolution does.

        Args:
            arch: a member of the space, which is left as it was.
            rng: the only source of randomness.

        Returns:
            A member of the space that differs from `arch` in one edge.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> space, rng = NasBench201(), random.Random(0)
            >>> arch = space.sample(rng)
            >>> pairs = zip(space.ops(arch), space.ops(space.mutate(arch, rng)), strict=True)
            >>> sum(before != after for before, after in pairs)
            1
        """
        ops = self.ops(arch)
        edge = rng.randrange(len(EDGES))
        ops[edge] = rng.choice([op for op in OPS if op != ops[edge]])
        return _arch(ops)

    def crossover(self, a: Arch, b: Arch, rng: random.Random) -> Arch:
        """Take each edge's operation from one of the parents by a fair coin.

        Args:
            a: a member of the space, which is left as it was.
            b: likewise.
            rng: the only source of randomness.

        Returns:
            A member of the space.

        Raises:
            SpaceError: a parent is not a member of the space.

        Example:
            >>> space, rng = NasBench201(), random.Random(0)
            >>> a = space.sample(rng)
            >>> space.crossover(a, a, rng) == a
            True
        """
        return _arch([rng.choice(pair) for pair in zip(self.ops(a), self.ops(b), strict=True)])

    def suggest(self, trial: ChoosingTrial) -> Arch:
        """Return the cell that a trial of Optuna chooses, see `Suggests`; the edges are op_0 to op_5."""
        return _arch([trial.suggest_categorical(f"op_{edge}", OPS) for edge in range(len(EDGES))])

    def suggested(self, arch: Arch) -> dict[str, Any]:
        """Return the choices that a cell is made of, see `Suggests`."""
        return {f"op_{edge}": op for edge, op in enumerate(self.ops(arch))}

    def ops(self, arch: Arch) -> list[str]:
        """Return the operations of the six edges, in the order of the string.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> cell = "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
            >>> NasBench201().ops({"cell": cell})
            ['none', 'none', 'none', 'skip_connect', 'none', 'none']
        """
        check_fields(arch, "cell")
        return _parsed(arch["cell"])

    def encode(self, arch: Arch) -> str:
        """Return an architecture as one line of JSON.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> NasBench201().encode({"cell": "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"})
            '{"cell":"|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"}'
        """
        return json.dumps(_arch(self.ops(arch)), separators=(",", ":"))

    def decode(self, text: str) -> Arch:
        """Return the architecture of a line of JSON, or of the benchmark's own string.

        Raises:
            SpaceError: the text is anything else.

        Example:
            >>> NasBench201().decode("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")
            {'cell': '|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|'}
        """
        if isinstance(text, str) and text.startswith("|"):
            return _arch(_parsed(text))
        return _arch(self.ops(read_json(text)))

    def canonical(self, arch: Arch) -> str:
        """Return what the cell computes of its input x, the same text for cells that compute the same.

        Sums have no order, a skip is its input, edges that are `none`, or come from a node that nothing reaches, are
        left out, pooling a sum is the sum of its terms pooled, and convolutions of one kind can be exchanged for each
        other: see `canonical_cell`. Cells of the empty text compute nothing. There are 5,044 texts; departure from the
        benchmark, which counts 6,466 different cells: it keeps a `none` as a term of a sum, takes a convolution that is
        read twice for two convolutions, and tells cells apart that pool before and after a sum.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> cell = "|nor_conv_1x1~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
            >>> NasBench201().canonical({"cell": cell})
            'x'
        """
        return canonical_cell([Edge(*place, op, _KINDS[op]) for place, op in zip(EDGES, self.ops(arch), strict=True)])

    def n_params(self, arch: Arch) -> int:
        """Return the number of parameters of `build(arch)`, in closed form.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> NasBench201().n_params({"cell": "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"})
            73306
        """
        return self._n_params(self.ops(arch))

    def _n_params(self, ops: list[str]) -> int:
        """Parameters of a network whose cells have these operations, on whichever edges."""
        kernels = [_KERNEL_SIZES[op] for op in ops if op in _KERNEL_SIZES]
        total = IN_CHANNELS * 9 * self.channels + 2 * self.channels  # the stem
        for stage, (width, _) in enumerate(self._stages()):
            total += self.cells_per_stage * sum(k * k * width * width + 2 * width for k in kernels)
            if stage:  # two 3x3 convolutions with norms, and the shortcut
                total += 9 * width * (width // 2) + 9 * width * width + 4 * width + width * (width // 2)
        return total + 2 * width + (width + 1) * self.num_classes

    def macs(self, arch: Arch) -> int:
        """Return the multiply-accumulates of one image through `build(arch)`: convolutions and the classifier.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> NasBench201().macs({"cell": "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"})
            7783040
        """
        return self._macs(self.ops(arch))

    def _macs(self, ops: list[str]) -> int:
        """Multiply-accumulates of a network whose cells have these operations, on whichever edges."""
        kernels = [_KERNEL_SIZES[op] for op in ops if op in _KERNEL_SIZES]
        total = IN_CHANNELS * 9 * self.channels * self.image_size**2
        for stage, (width, positions) in enumerate(self._stages()):
            total += self.cells_per_stage * sum(k * k for k in kernels) * width * width * positions
            if stage:
                total += positions * (9 * width * (width // 2) + 9 * width * width + width * (width // 2))
        return total + width * self.num_classes

    def _stages(self) -> list[tuple[int, int]]:
        """Channels and positions of the maps in each stage."""
        return [(self.channels << stage, (self.image_size >> stage) ** 2) for stage in range(N_STAGES)]

    def published_flops(self, arch: Arch) -> int:
        """Return what the benchmark's tables call flops.

        That is `macs`, and for each element of an output 1 for a ReLU, 2 for a BatchNorm and k^2 for a pooling of side
        k; the benchmark's counter takes the global pooling for one of side H + 1.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> NasBench201().published_flops({"cell": "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"})
            7943872
        """
        ops = self.ops(arch)
        per_element = 3 * sum(op in _KERNEL_SIZES for op in ops) + 9 * ops.count("avg_pool_3x3")
        elements = [width * positions for width, positions in self._stages()]
        cells = self.cells_per_stage * per_element * sum(elements)
        reductions = sum(2 * before + 5 * after for before, after in pairwise(elements))  # ReLU, pool; BN, ReLU, BN
        width, last_side = self.channels << (N_STAGES - 1), self.image_size >> (N_STAGES - 1)
        ends = 2 * elements[0] + 3 * elements[-1] + width * (last_side + 1) ** 2
        return self.macs(arch) + cells + reductions + ends

    def build(self, arch: Arch, weights: Mapping[str, Tensor] | None = None) -> NasBench201Net:
        """Build the network: images (B, 3, image_size, image_size) -> logits (B, num_classes), in train mode.

        Args:
            arch: a member of the space.
            weights: must be None, these networks share none. They are drawn with torch's global generator, as torch
                initialises convolutions.

        Raises:
            SpaceError: `weights` are given, or `arch` is not a member of the space.

        Example:
            >>> import torch
            >>> space = NasBench201(image_size=8, channels=4, cells_per_stage=1)
            >>> space.build(space.sample(random.Random(0)))(torch.zeros(2, 3, 8, 8)).shape
            torch.Size([2, 10])
        """
        check_no_weights(self.name, weights)
        ops = self.ops(arch)
        return self._network(lambda width: [operation(op, width) for op in ops])

    @property
    def edges(self) -> Mapping[str, tuple[str, ...]]:
        """The edges of a supernet, "0->1" to "2->3", and the operations of each."""
        return dict.fromkeys(_NAMES, OPS)

    def supernet(self, alive: Alive) -> NasBench201Net:
        """Build the network in which an edge is the mean of its operations.

        The weights of an operation do not depend on which others are alive.

        Raises:
            SpaceError: an edge is dead; it is named.

        Example:
            >>> import torch
            >>> space = NasBench201(channels=4, cells_per_stage=1, image_size=8)
            >>> space.supernet(space.edges)(torch.zeros(2, 3, 8, 8)).shape
            torch.Size([2, 10])
        """
        check_alive(self.edges, alive)
        return self._network(lambda width: [mixture(alive[edge], width) for edge in _NAMES])

    def supernet_costs(self, alive: Alive) -> tuple[int, int]:
        """Return the number of parameters of a supernet, and the multiply-accumulates of one image.

        Raises:
            SpaceError: an edge is dead; it is named.
        """
        check_alive(self.edges, alive)
        ops = [op for edge in _NAMES for op in alive[edge]]
        return self._n_params(ops), self._macs(ops)

    def removals(self, alive: Alive) -> list[list[Removal]]:
        """Return, for each edge with several operations, what can be removed from it.

        Raises:
            SpaceError: `alive` is no supernet.
        """
        check_alive(self.edges, alive)
        return edge_removals(alive)

    def path(self, alive: Alive) -> Arch:
        """Return the architecture of a supernet with one operation on every edge; else raise SpaceError."""
        if self.removals(alive):
            raise SpaceError("alive: an edge has several operations; leave one on each")
        return _arch([alive[edge][0] for edge in _NAMES])

    def _network(self, make: Callable[[int], list[nn.Module]]) -> NasBench201Net:
        return NasBench201Net(make, self.channels, self.cells_per_stage, self.num_classes)


def _arch(ops: list[str]) -> Arch:
    nodes = ("".join(f"|{op}~{source}" for source, op in enumerate(edges)) + "|" for edges in _by_node(ops))
    return {"cell": "+".join(nodes)}


def _by_node(ops: list[str]) -> list[list[str]]:
    """The operations of the edges into each node after the first."""
    return [[op for op, (to, _) in zip(ops, EDGES, strict=True) if to == node] for node in range(1, N_NODES)]


def _parsed(cell: Any) -> list[str]:
    """The operations that a cell's string names; raises SpaceError for any other string."""
    if isinstance(cell, str):
        found = _EDGE.findall(cell)
        ops, sources = [op for op, _ in found], [int(source) for _, source in found]
        if sources == [source for _, source in EDGES] and all(op in OPS for op in ops) and _arch(ops)["cell"] == cell:
            return ops
    raise SpaceError(
        f"cell: found {str(cell)[:120]!r}, expected |op~0|+|op~0|op~1|+|op~0|op~1|op~2| with op one of {', '.join(OPS)}"
    )
