"""A space for the tests of studies: `n_genes` linear layers, each 1 to `max_width` features wide.

Its networks are built and measured, never run.
"""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import torch

Arch = dict[str, Any]
MUTATION_PROBABILITY = 0.3


class ToySpace:
    name = "toy"
    input_shape = (3, 8, 8)
    num_classes = 10

    def __init__(self, n_genes: int = 6, max_width: int = 8) -> None:
        self.n_genes = n_genes
        self.max_width = max_width
        self.size = max_width**n_genes

    def sample(self, rng: random.Random) -> Arch:
        return {"widths": [rng.randint(1, self.max_width) for _ in range(self.n_genes)]}

    def mutate(self, arch: Arch, rng: random.Random) -> Arch:
        return {
            "widths": [
                rng.randint(1, self.max_width) if rng.random() < MUTATION_PROBABILITY else width
                for width in arch["widths"]
            ]
        }

    def crossover(self, a: Arch, b: Arch, rng: random.Random) -> Arch:
        return {"widths": [rng.choice(pair) for pair in zip(a["widths"], b["widths"], strict=True)]}

    def n_params(self, arch: Arch) -> int:
        sizes = [2, *arch["widths"]]
        return sum(i * o for i, o in itertools.pairwise(sizes))

    def macs(self, arch: Arch) -> int:
        return self.n_params(arch)

    def encode(self, arch: Arch) -> str:
        return json.dumps(arch, separators=(",", ":"))

    def decode(self, text: str) -> Arch:
        return dict(json.loads(text))

    def build(self, arch: Arch, weights: Any = None) -> torch.nn.Module:
        sizes = [2, *arch["widths"]]
        pairs = itertools.pairwise(sizes)
        return torch.nn.Sequential(*(torch.nn.Linear(i, o, bias=False) for i, o in pairs))


def widths(model: torch.nn.Module) -> list[int]:
    return [int(weight.shape[0]) for weight in model.parameters()]


def total_width(model: torch.nn.Module, batch: Any) -> float:
    """A score whose best architecture is the widest one, 8 in every layer."""
    return float(sum(widths(model)))
