"""Which weights the networks of a space are built with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import nn

from lswag_fast.spaces.protocol import SearchSpace, SharesWeights

Weights = Mapping[str, torch.Tensor] | Literal["fresh"] | None
"""The weights of networks: those of a state dict; "fresh", drawn anew for each network; None, the space's own, drawn
once, where it shares weights, and else fresh ones."""


def network_builder(space: SearchSpace, weights: Weights = None, seed: int = 0) -> Callable[[Any], nn.Module]:
    """Return what builds the network of an architecture.

    Args:
        space: the space of the architectures.
        weights: a state dict to cut every network out of. "fresh": each network has weights of its own, drawn from the
            same seed. None: where the space shares weights, they are drawn here, once, from `seed`; where it does not,
            the same as "fresh". The generator of torch is left as it was.
        seed: of the weights that are drawn.

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
        return lambda arch: space.build(arch, weights)

    def build_fresh(arch: Any) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return space.build(arch)

    return build_fresh
