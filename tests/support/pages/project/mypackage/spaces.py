"""A reader's own search space, and a proxy that it registers."""

from __future__ import annotations

import itertools
import json
import math
import random
from typing import Any

from mypackage.models import make_model as make_network  # noqa: F401
from torch import nn

import lswag_fast
from lswag_fast.passes import Measurements

Arch = dict[str, list[int]]


class Mlp:
    """Three layers; the widths of two are searched."""

    name = "mlp"
    input_shape = (3, 8, 8)
    num_classes = 10
    widths = (16, 32, 64)
    size = 9

    def sample(self, rng: random.Random) -> Arch:
        """Return a random one."""
        return {"widths": [rng.choice(self.widths) for _ in range(2)]}

    def mutate(self, arch: Arch, rng: random.Random) -> Arch:
        """Return another with one width drawn anew."""
        widths = list(arch["widths"])
        widths[rng.randrange(2)] = rng.choice(self.widths)
        return {"widths": widths}

    def crossover(self, a: Arch, b: Arch, rng: random.Random) -> Arch:
        """Return one with each width from either."""
        return {"widths": [rng.choice(pair) for pair in zip(a["widths"], b["widths"], strict=True)]}

    def encode(self, arch: Arch) -> str:
        """Return the text of one."""
        return json.dumps(arch)

    def decode(self, text: str) -> Arch:
        """Return that of a text."""
        found: Arch = json.loads(text)
        return found

    def n_params(self, arch: Arch) -> int:
        """Return the number of weights and biases."""
        sizes = [192, *arch["widths"], 10]
        return sum(i * o + o for i, o in itertools.pairwise(sizes))

    def macs(self, arch: Arch) -> int:
        """Return the multiply-accumulates of a sample."""
        sizes = [192, *arch["widths"], 10]
        return sum(i * o for i, o in itertools.pairwise(sizes))

    def build(self, arch: Arch, weights: Any = None) -> nn.Module:
        """Return the network."""
        a, b = arch["widths"]
        return nn.Sequential(nn.Flatten(), nn.Linear(192, a), nn.ReLU(), nn.Linear(a, b), nn.ReLU(), nn.Linear(b, 10))


make_space = Mlp


def smallest_layer(measurements: Measurements) -> float:
    """Return ln of the sum of 1/sigma of the layer that has the least of it."""
    return min(math.log(layer["sum_inv_sigma"]) for layer in measurements["standard"].layers())


lswag_fast.register_proxy("smallest_layer", smallest_layer, needs={"standard": ["gradients"]})
