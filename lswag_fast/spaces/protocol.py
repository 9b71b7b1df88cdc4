"""What a search space must offer: the `SearchSpace` protocol.

A space says which architectures exist, moves between them, counts their cost and builds them. It knows nothing of
scores. An architecture (`arch`) is a dictionary of JSON values; two architectures are the same if `encode` gives the
same string.

A space of your own needs no base class, only the members below. `lswag_fast.search(Mlp(), batch)` then searches it, and
`lswag-fast search mypackage.spaces:Mlp` does so from the command line:

    import json
    from torch import nn

    class Mlp:
        name = "mlp"
        input_shape = (3, 8, 8)
        num_classes = 10
        widths = (16, 32, 64)

        @property
        def size(self):
            return len(self.widths) ** 2

        def sample(self, rng):
            return {"widths": [rng.choice(self.widths) for _ in range(2)]}

        def mutate(self, arch, rng):
            widths = list(arch["widths"])
            widths[rng.randrange(2)] = rng.choice(self.widths)
            return {"widths": widths}

        def crossover(self, a, b, rng):
            return {"widths": [rng.choice(pair) for pair in zip(a["widths"], b["widths"])]}

        def encode(self, arch):
            return json.dumps(arch)

        def decode(self, text):
            return json.loads(text)

        def n_params(self, arch):
            sizes = [192, *arch["widths"], 10]
            return sum(i * o + o for i, o in zip(sizes, sizes[1:]))

        def macs(self, arch):
            sizes = [192, *arch["widths"], 10]
            return sum(i * o for i, o in zip(sizes, sizes[1:]))

        def build(self, arch, weights=None):
            a, b = arch["widths"]
            return nn.Sequential(
                nn.Flatten(), nn.Linear(192, a), nn.ReLU(), nn.Linear(a, b), nn.ReLU(), nn.Linear(b, 10)
            )
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

from torch import Tensor, nn

from lswag_fast.errors import SpaceError

Arch: TypeAlias = dict[str, Any]
"""One architecture: a dictionary of JSON values, its fields defined by the space."""


@runtime_checkable
class SearchSpace(Protocol):
    """A set of classifiers that a search can walk through.

    Any object with these members is a search space; there is no base class. The module's docstring has a complete one.

    Example:
        >>> from lswag_fast.spaces import NasBench201
        >>> isinstance(NasBench201(), SearchSpace)
        True
        >>> space, rng = NasBench201(), random.Random(0)
        >>> arch = space.sample(rng)
        >>> space.decode(space.encode(arch)) == arch
        True
    """

    @property
    def name(self) -> str:
        """Name shown to people and written beside results, e.g. `autoformer-tiny`."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape (C, H, W) of one image that the networks take; (T,) of one text, for a space that `TakesTokens`."""

    @property
    def num_classes(self) -> int:
        """Number of logits, in which labels lie; of other tasks than classes, the number of outputs or of channels."""

    @property
    def size(self) -> int:
        """Exact number of architectures."""

    def sample(self, rng: random.Random) -> Arch:
        """Draw an architecture.

        Args:
            rng: the only source of randomness; its state can be stored as JSON.

        Returns:
            A member of the space.
        """

    def mutate(self, arch: Arch, rng: random.Random) -> Arch:
        """Return a neighbour of an architecture.

        Args:
            arch: a member of the space, which is left as it was.
            rng: the only source of randomness.

        Returns:
            A member of the space, possibly equal to `arch`.
        """

    def crossover(self, a: Arch, b: Arch, rng: random.Random) -> Arch:
        """Return a mixture of two architectures.

        Args:
            a: a member of the space, which is left as it was.
            b: likewise.
            rng: the only source of randomness.

        Returns:
            A member of the space.
        """

    def encode(self, arch: Arch) -> str:
        """Return an architecture as one line of JSON; equal architectures give equal strings.

        Raises:
            SpaceError: `arch` is not a member of the space.
        """

    def decode(self, text: str) -> Arch:
        """Return the architecture that a line of JSON describes.

        Raises:
            SpaceError: it is not JSON, or not a member of the space.
        """

    def n_params(self, arch: Arch) -> int:
        """Return the number of parameters of the built network."""

    def macs(self, arch: Arch) -> int:
        """Return the multiply-accumulates of one forward pass of one image."""

    def build(self, arch: Arch, weights: Mapping[str, Tensor] | None = None) -> nn.Module:
        """Build the network of an architecture.

        Args:
            arch: a member of the space.
            weights: what `init_weights` of a space that shares weights returned, to cut the network's own out of; None
                to draw them with torch's global generator.

        Returns:
            A network that maps images (B, *input_shape) to logits (B, num_classes), or to what `NamesTask` says, and
            texts to (B, T, num_classes).
        """


def check_space(space: object) -> None:
    """Refuse what is no search space.

    Raises:
        SpaceError: it is a name or a class, or lacks members of `SearchSpace`, which are named.

    Example:
        >>> from lswag_fast.spaces import NasBench201
        >>> check_space(NasBench201())
        >>> check_space("mlp")
        Traceback (most recent call last):
        lswag_fast.errors.SpaceError: a space is an object, found the name 'mlp'; spaces.get('mlp') makes it
    """
    if isinstance(space, str):
        raise SpaceError(f"a space is an object, found the name {space!r}; spaces.get({space!r}) makes it")
    if isinstance(space, type):
        raise SpaceError(f"a space is an object, found the class {space.__name__}; pass {space.__name__}(...)")
    lacking = [member for member in vars(SearchSpace) if not member.startswith("_") and not hasattr(space, member)]
    if lacking:
        raise SpaceError(f"{type(space).__name__} is not a search space: it lacks {', '.join(map(repr, lacking))}")


@runtime_checkable
class SharesWeights(Protocol):
    """A space whose networks can all be cut out of one set of weights, drawn once per search.

    Example:
        >>> from lswag_fast.spaces import AutoFormer, NasBench201
        >>> isinstance(AutoFormer("tiny"), SharesWeights), isinstance(NasBench201(), SharesWeights)
        (True, False)
    """

    def init_weights(self, seed: int) -> dict[str, Tensor]:
        """Draw the shared weights, which `build(arch, weights)` takes.

        Args:
            seed: the same seed gives the same bits.

        Returns:
            The weights by name.
        """


@runtime_checkable
class EntanglesWeights(SharesWeights, Protocol):
    """A space whose shared weights can be trained: each network is a cut of them that gradients flow through.

    The network itself is `build(arch, weights)`, run with the cut in place of its parameters. A space may also have
    `entangled(arch, weights)`, which returns the network with the cut in that place at once; a training then saves the
    copies that `build` makes in each step.

    Example:
        >>> from lswag_fast.spaces import AutoFormer, NasBench201
        >>> isinstance(AutoFormer("tiny"), EntanglesWeights), isinstance(NasBench201(), EntanglesWeights)
        (True, False)
    """

    def cut(self, arch: Arch, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Cut the weights of a network out of the shared ones, by operations that autograd records.

        Args:
            arch: a member of the space.
            weights: the shared weights, with the names and shapes of `init_weights`.

        Returns:
            A tensor for each parameter of the network, by its name there; it may lie in the shared ones' memory.
        """

    def extremes(self) -> tuple[Arch, Arch]:
        """Return the architectures that use the least and the most of the shared weights."""


@runtime_checkable
class CountsParams(Protocol):
    """A space that can list every parameter count it contains, so that an impossible budget is seen at once.

    Example:
        >>> from lswag_fast.spaces import AutoFormer
        >>> values = AutoFormer("tiny").n_params_values()
        >>> values[0], values[-1]
        (5366056, 10517272)
    """

    def n_params_values(self) -> tuple[int, ...]:
        """Return all values that `n_params` takes over the space, ascending."""


@runtime_checkable
class TellsIsomorphic(Protocol):
    """A space that tells which of its architectures compute the same, so that a search scores one of them only.

    Example:
        >>> from lswag_fast.spaces import NasBench201
        >>> isinstance(NasBench201(), TellsIsomorphic)
        True
    """

    def canonical(self, arch: Arch) -> str:
        """Return a text that an architecture shares with those, and only those, that are the same function.

        Weights are not part of the function: two networks that are equal once their weights are drawn alike.

        Raises:
            SpaceError: `arch` is not a member of the space.
        """


Alive: TypeAlias = Mapping[str, Sequence[str]]
"""Of a supernet: the operations that are left on each edge."""

Removal: TypeAlias = tuple[str, str]
"""The name of an edge, and the operation that leaves it."""


@runtime_checkable
class OffersSupernet(Protocol):
    """A space whose architectures are left over when operations are removed from the edges of a supernet.

    Example:
        >>> from lswag_fast.spaces import NasBench201
        >>> space = NasBench201()
        >>> isinstance(space, OffersSupernet)
        True
        >>> space.path({edge: ["skip_connect"] for edge in space.edges})["cell"][:16]
        '|skip_connect~0|'
    """

    @property
    def edges(self) -> Mapping[str, Sequence[str]]:
        """The edges of the supernet by name, and the operations of each; all of them are alive at first."""

    def supernet(self, alive: Alive) -> nn.Module:
        """Build the network with several operations on its edges.

        Raises:
            SpaceError: an edge is dead, or `alive` is no choice of operations; the edge is named.
        """

    def supernet_costs(self, alive: Alive) -> tuple[int, int]:
        """Return the number of parameters of `supernet(alive)`, and the multiply-accumulates of one image.

        Raises:
            SpaceError: as of `supernet`.
        """

    def removals(self, alive: Alive) -> Sequence[Sequence[Removal]]:
        """Return groups of removals, of each of which one can be made at once; none where one path is left.

        Raises:
            SpaceError: as of `supernet`.
        """

    def path(self, alive: Alive) -> Arch:
        """Return the architecture that is left.

        Raises:
            SpaceError: there is more than one, or as of `supernet`.
        """


class ChoosingTrial(Protocol):
    """What answers the choices of a space: a trial of Optuna, or anything with this method."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return one of the choices of what is called `name`."""


@runtime_checkable
class Suggests(Protocol):
    """A space whose architectures are made of named choices, as the samplers of Optuna make them.

    Example:
        >>> from lswag_fast.spaces import NasBench201
        >>> class FirstOfEach:
        ...     def suggest_categorical(self, name, choices):
        ...         return choices[0]
        >>> space = NasBench201()
        >>> arch = space.suggest(FirstOfEach())
        >>> isinstance(space, Suggests), space.suggested(arch)["op_0"]
        (True, 'none')
    """

    def suggest(self, trial: Any) -> Arch:
        """Return the architecture that a trial chooses.

        Args:
            trial: is asked for each choice by a name of its own, with `suggest_categorical(name, choices)`; where only
                Optuna asks, its other methods will do as well.

        Returns:
            A member of the space.
        """

    def suggested(self, arch: Arch) -> dict[str, Any]:
        """Return {name: choice} of an architecture: the answers for which `suggest` returns it.

        Raises:
            SpaceError: `arch` is not a member of the space.
        """
