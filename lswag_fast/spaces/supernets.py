"""Networks with several operations on an edge, of which a search removes one after the other."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any, cast

from torch import Tensor, nn

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.checks import check_fields
from lswag_fast.spaces.encoding import read_json
from lswag_fast.spaces.protocol import Alive, Arch, OffersSupernet, Removal, SearchSpace


class Supernets:
    """A space whose architectures are those of another, and the supernets that lead to them.

    A supernet is `{"alive": {edge: [operation, ...]}}`. A search by the sampler `prune` walks through this space, and
    ends in an architecture of the other. It goes by the other's name, size and description.

    Args:
        space: a space that offers supernets.

    Raises:
        SpaceError: it offers none.

    Example:
        >>> import torch
        >>> from lswag_fast import spaces
        >>> space = Supernets(spaces.NasBench201(channels=4, cells_per_stage=1, image_size=8))
        >>> whole = {"alive": space.whole()}
        >>> space.build(whole)(torch.zeros(2, 3, 8, 8)).shape, space.n_params(whole)
        (torch.Size([2, 10]), 25726)
    """

    def __init__(self, space: SearchSpace) -> None:
        if not isinstance(space, OffersSupernet):
            raise SpaceError(
                f"{space.name} offers no supernets to prune: see OffersSupernet; search it by another sampler"
            )
        self.space: Any = space  # both a SearchSpace and one that OffersSupernet
        self.name = space.name
        self.input_shape = space.input_shape
        self.num_classes = space.num_classes

    def __repr__(self) -> str:
        return repr(self.space)

    @property
    def size(self) -> int:
        """Number of architectures of the space that the supernets lead to."""
        return int(self.space.size)

    def whole(self) -> dict[str, list[str]]:
        """Return every operation of every edge."""
        return {edge: list(ops) for edge, ops in self.space.edges.items()}

    def sample(self, rng: random.Random) -> Arch:
        """Draw an architecture of the space, no supernet."""
        return dict(self.space.sample(rng))

    def mutate(self, arch: Arch, rng: random.Random) -> Arch:
        """Return a neighbour of an architecture of the space."""
        return dict(self.space.mutate(arch, rng))

    def crossover(self, a: Arch, b: Arch, rng: random.Random) -> Arch:
        """Return a mixture of two architectures of the space."""
        return dict(self.space.crossover(a, b, rng))

    def encode(self, arch: Arch) -> str:
        """Return an architecture or a supernet as one line of JSON; raises SpaceError for what is neither."""
        if "alive" not in arch:
            return str(self.space.encode(arch))
        check_fields(arch, "alive")
        self.space.removals(arch["alive"])  # refuses what is no supernet
        return json.dumps({"alive": arch["alive"]}, separators=(",", ":"))

    def decode(self, text: str) -> Arch:
        """Return the architecture or supernet of a line of JSON; raises SpaceError for what is neither."""
        if not text.startswith('{"alive"'):
            return dict(self.space.decode(text))
        arch = read_json(text)
        self.encode(arch)
        return dict(arch)

    def n_params(self, arch: Arch) -> int:
        """Return the number of parameters."""
        return int(self.space.n_params(arch) if "alive" not in arch else self.space.supernet_costs(arch["alive"])[0])

    def macs(self, arch: Arch) -> int:
        """Return the multiply-accumulates of one image."""
        return int(self.space.macs(arch) if "alive" not in arch else self.space.supernet_costs(arch["alive"])[1])

    def build(self, arch: Arch, weights: Mapping[str, Tensor] | None = None) -> nn.Module:
        """Build the network of an architecture or a supernet; weights are for the former alone."""
        if "alive" in arch:
            return cast(nn.Module, self.space.supernet(arch["alive"]))
        return cast(nn.Module, self.space.build(arch, weights))


def check_alive(edges: Mapping[str, Sequence[str]], alive: Alive) -> None:
    """Refuse what is no choice of at least one operation on every edge.

    Raises:
        SpaceError: names the edge.

    Example:
        >>> check_alive({"0->1": ("skip", "conv")}, {"0->1": ["conv"]})
        >>> check_alive({"0->1": ("skip", "conv")}, {"0->1": []})
        Traceback (most recent call last):
        lswag_fast.errors.SpaceError: alive: the edge '0->1' is dead; leave at least one of skip, conv on it
    """
    if not isinstance(alive, Mapping):
        raise SpaceError(f"alive: found {str(alive)[:60]!r}, expected the operations of each edge")
    for edge in alive:
        if edge not in edges:
            raise SpaceError(f"alive: there is no edge {str(edge)[:60]!r}; the edges are {', '.join(edges)}")
    for edge, ops in edges.items():
        left = alive.get(edge)
        if not left:
            raise SpaceError(f"alive: the edge {edge!r} is dead; leave at least one of {', '.join(ops)} on it")
        if not isinstance(left, (list, tuple)) or [op for op in ops if op in left] != list(left):
            raise SpaceError(f"alive: found {str(left)[:120]} on the edge {edge!r}, expected some of {', '.join(ops)}")


def edge_removals(alive: Alive) -> list[list[Removal]]:
    """Return, for each edge with several operations, what can be removed from it.

    Example:
        >>> edge_removals({"0->1": ["skip", "conv"], "0->2": ["conv"]})
        [[('0->1', 'skip'), ('0->1', 'conv')]]
    """
    return [[(edge, op) for op in ops] for edge, ops in alive.items() if len(ops) > 1]


def without(alive: Alive, *removals: Removal) -> dict[str, list[str]]:
    """Return what is alive after removals; an edge that loses its last operation is gone.

    Example:
        >>> without({"0->1": ["skip", "conv"], "0->2": ["conv"]}, ("0->1", "skip"), ("0->2", "conv"))
        {'0->1': ['conv']}
    """
    left = {edge: [op for op in ops if (edge, op) not in removals] for edge, ops in alive.items()}
    return {edge: ops for edge, ops in left.items() if ops}
