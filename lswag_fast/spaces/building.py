"""Which weights the networks of a space are built with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import nn

from lswag_fast.errors import NetworkFailedError, names_failure
from lswag_fast.spaces.protocol import SearchSpace, SharesWeights

SHOWN_OF_AN_ARCHITECTURE = 120

Weights = Mapping[str, torch.Tensor] | Literal["fresh"] | None
"""The weights of networks: those of a state dict; "fresh", drawn anew for each network; None, the space's own, drawn
once, where it shares weights, and else fresh ones."""


def build_network(space: SearchSpace, arch: Any, weights: Mapping[str, torch.Tensor] | None = None) -> nn.Module:
    """Build the network of an architecture, and say which one where the space does not.

    Args:
        space: the space of the architecture.
        arch: a member of the space.
        weights: as of `SearchSpace.build`.

    Raises:
        NetworkFailedError: `build` raises what is no error of this package, or returns no module.

    Example:
        >>> from lswag_fast import spaces
        >>> space = spaces.NasBench201(channels=4, cells_per_stage=1)
        >>> cell = "|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|"
        >>> isinstance(build_network(space, {"cell": cell}), nn.Module)
        True
    """
    return made_network(space, arch, "build", *(() if weights is None else (weights,)))


def made_network(space: Any, arch: Any, method: str, *weights: Mapping[str, torch.Tensor]) -> nn.Module:
    """Call a method of a space that returns the network of an architecture; see `build_network`."""
    of = f"{space.name}: {method} of {str(arch)[:SHOWN_OF_AN_ARCHITECTURE]}"
    with names_failure(f"{of} failed"):
        network = getattr(space, method)(arch, *weights)
    if not isinstance(network, nn.Module):
        raise NetworkFailedError(f"{of} returned {type(network).__name__}; it must return a torch.nn.Module")
    return network


def network_builder(space: SearchSpace, weights: Weights = None, seed: int = 0) -> Callable[[Any], nn.Module]:
    """Return what builds the network of an architecture.

    Args:
        space: the space of the architectures.
        weights: a state dict to cut every network out of. "fresh": each network has weights of its own, drawn from the
            same seed. None: where the space shares weights, they are drawn here, once, from `seed`; where it does not,
            the same as "fresh". The generator of torch is left as it was.
        seed: of the weights that are drawn.

    Returns:
        A function of an architecture; it raises NetworkFailedError where the space gives no network.

    Example:
        >>> import random
        >>> from lswag_fast import spaces
        >>> space = spaces.NasBench201(channels=4, cells_per_stage=1)
        >>> build = network_builder(space, seed=3)
        >>> arch = space.sample(random.Random(0))
        >>> a, b = build(arch), build(arch)
        >>> all(torch.equal(a.state_dict()[name], b.state_dict()[name]) for name in a.state_dict())
        True
    """
    if weights is None and isinstance(space, SharesWeights):
        weights = space.init_weights(seed)
    if weights is not None and not isinstance(weights, str):
        return lambda arch: build_network(space, arch, weights)

    def build_fresh(arch: Any) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return build_network(space, arch)

    return build_fresh
