"""The micro space of TransNAS-Bench-101 (Duan et al., CVPR 2021): 4,096 cells in one skeleton."""

from __future__ import annotations

import random
import re
from typing import Any

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.isomorphism import Edge, Kind, canonical_cell
from lswag_fast.spaces.protocol import Arch, ChoosingTrial
from lswag_fast.spaces.transnas.base import TransNas
from lswag_fast.spaces.transnas.model import EDGES

_DIGITS = "0123"
_STAGES = "41414"
_CELL = re.compile(r"([0-3])_([0-3]{2})_([0-3]{3})")


class TransNasMicro(TransNas):
    """The cells of the benchmark, each twice in five stages of which three double the channels and halve the sides.

    An architecture is `{"network": "64-41414-a_bc_def"}`, as published: the operations of the edges 0 -> 1, then 0 -> 2
    and 1 -> 2, then 0 -> 3, 1 -> 3 and 2 -> 3, each 0 (zeros), 1 (skip), 2 (1x1 convolution) or 3 (3x3 convolution).
    The networks end in the head or the decoder of a task.

    Args:
        task: the name of its column: class_object, class_scene, room_layout, jigsaw, segmentsemantic, normal or
            autoencoder.
        num_classes: logits, where the task has classes; as in the benchmark by default: 75 objects, 47 scenes, 17
            segments.
        image_size: side of the square images in pixels, 256 by default; of a puzzle that of its 3 x 3 tiles, 192.
        channels: that the stem puts out; 64 in the benchmark, and the number that the string begins with.

    Raises:
        SpaceError: there is no such task, or its networks cannot have these sizes.

    Example:
        >>> import torch
        >>> space = TransNasMicro(num_classes=47, image_size=64, channels=8)
        >>> space.build({"network": "8-41414-3_33_333"})(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 47])
        >>> TransNasMicro(num_classes=47).n_params({"network": "64-41414-2_32_323"})
        22364751
    """

    name = "transnas-micro"
    most_halvings = 3

    @property
    def size(self) -> int:
        """Number of cells: four operations on six edges.

        Example:
            >>> TransNasMicro().size
            4096
        """
        size: int = len(_DIGITS) ** len(EDGES)
        return size

    def sample(self, rng: random.Random) -> Arch:
        """Draw every edge's operation uniformly.

        Args:
            rng: the only source of randomness.

        Returns:
            A member of the space.

        Example:
            >>> TransNasMicro().sample(random.Random(0))
            {'network': '64-41414-3_30_233'}
        """
        return self._arch([rng.choice(_DIGITS) for _ in EDGES])

    def mutate(self, arch: Arch, rng: random.Random) -> Arch:
        """Give one edge another operation.

        Args:
            arch: a member of the space, which is left as it was.
            rng: the only source of randomness.

        Returns:
            A member of the space that differs from `arch` in one edge.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> space, rng = TransNasMicro(), random.Random(0)
            >>> pairs = zip("3_30_232", space.mutate({"network": "64-41414-3_30_232"}, rng)["network"][9:])
            >>> sum(before != after for before, after in pairs)
            1
        """
        digits = list(self.digits(arch))
        edge = rng.randrange(len(EDGES))
        digits[edge] = rng.choice(_DIGITS.replace(digits[edge], ""))
        return self._arch(digits)

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
            >>> space, rng = TransNasMicro(), random.Random(0)
            >>> a = space.sample(rng)
            >>> space.crossover(a, a, rng) == a
            True
        """
        return self._arch([rng.choice(pair) for pair in zip(self.digits(a), self.digits(b), strict=True)])

    def suggest(self, trial: ChoosingTrial) -> Arch:
        """Return the cell that a trial of Optuna chooses, see `Suggests`; the edges are op_0 to op_5."""
        return self._arch([trial.suggest_categorical(f"op_{edge}", tuple(_DIGITS)) for edge in range(len(EDGES))])

    def suggested(self, arch: Arch) -> dict[str, Any]:
        """Return the choices that a cell is made of, see `Suggests`."""
        return {f"op_{edge}": digit for edge, digit in enumerate(self.digits(arch))}

    def digits(self, arch: Arch) -> str:
        """Return the digits of the six edges, in the order of the string.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> TransNasMicro().digits({"network": "64-41414-3_30_232"})
            '330232'
        """
        return self._parts(arch)[1] or ""

    def canonical(self, arch: Arch) -> str:
        """Return what the cell computes of its input x, the same text for cells that compute the same.

        Sums have no order, a skip between inner nodes is its source, and edges of zeros, or from a node that nothing
        reaches, are left out, see `canonical_cell`. A skip of the input stays: where a cell changes the shape, it is a
        convolution. There are 1,376 texts.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> space, cells = TransNasMicro(), ("3_00_010", "0_30_001", "0_33_000")
            >>> [space.canonical({"network": f"64-41414-{cell}"}) for cell in cells]
            ['3(x)', '3(x)', '']
        """
        return canonical_cell(
            [Edge(*place, digit, _kind(digit, place[1])) for place, digit in zip(EDGES, self.digits(arch), strict=True)]
        )

    def parsed(self, network: object) -> tuple[str, str | None]:
        """Return the digits of the stages and of the cell.

        Raises:
            SpaceError: `network` is not the string of a member.

        Example:
            >>> TransNasMicro().parsed("64-41414-3_30_232")
            ('41414', '330232')
        """
        head = f"{self.channels}-{_STAGES}-"
        found = _CELL.fullmatch(network[len(head) :]) if isinstance(network, str) and network.startswith(head) else None
        if found is None:
            raise SpaceError(f"network: found {str(network)[:60]!r}, expected {head}a_bc_def with digits 0 to 3")
        return _STAGES, "".join(found.groups())

    def _arch(self, digits: list[str]) -> Arch:
        cell = "".join(digits)
        return {"network": f"{self.channels}-{_STAGES}-{cell[0]}_{cell[1:3]}_{cell[3:]}"}


def _kind(digit: str, source: int) -> Kind:
    """What a digit is on an edge from that node."""
    return "identity" if digit == "1" and source else "nothing" if digit == "0" else "layer"
