"""The contract of spaces on each of ours, and on one of a user: it passes, and what is wrong with it is noticed."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lswag_fast.errors import SpaceError
from lswag_fast.spaces import (
    Arch,
    AutoFormer,
    BurgerFormer,
    Darts,
    NasBench101,
    NasBench201,
    ProxylessNas,
    SearchSpace,
    TransNasMacro,
    TransNasMicro,
)
from lswag_fast.testing import SpaceContract


class TestNasBench101(SpaceContract):
    def make_space(self) -> SearchSpace:
        # Up to five vertices share the channels: of a number that all divide, isomorphic cells give them the same.
        return NasBench101(channels=60, cells_per_stack=1, image_size=8)


class TestNasBench201(SpaceContract):
    def make_space(self) -> SearchSpace:
        return NasBench201(channels=4, cells_per_stage=1)


class TestTransNasMicro(SpaceContract):
    def make_space(self) -> SearchSpace:
        return TransNasMicro(image_size=32, channels=8)


class TestTransNasMacro(SpaceContract):
    def make_space(self) -> SearchSpace:
        return TransNasMacro(task="segmentsemantic", image_size=64, channels=4)


class TestDarts(SpaceContract):
    def make_space(self) -> SearchSpace:
        return Darts(channels=4, n_cells=3, image_size=16)


class TestProxylessNas(SpaceContract):
    def make_space(self) -> SearchSpace:
        return ProxylessNas(num_classes=10, image_size=32, width_mult=0.25)


class TestBurgerFormer(SpaceContract):
    def make_space(self) -> SearchSpace:
        return BurgerFormer(num_classes=10, image_size=32)


class TestAutoFormer(SpaceContract):
    def make_space(self) -> SearchSpace:
        return AutoFormer(
            embed_dim=(16, 32), depth=(1, 2, 3), num_heads=(1, 2), mlp_ratio=(1, 2), image_size=8, patch_size=4
        )


OPS = {"skip": nn.Identity, "conv": lambda: nn.Conv2d(3, 3, 3, padding=1), "pool": lambda: nn.AvgPool2d(3, 1, 1)}
MACS = {"skip": 0, "conv": 8 * 8 * 3 * 3 * 9, "pool": 0}
EDGES = ("left", "right")


class Sum(nn.Module):
    """Two edges side by side, each the sum of its operations, and a head."""

    def __init__(self, alive: Mapping[str, Any]) -> None:
        super().__init__()
        self.edges = nn.ModuleList([nn.ModuleList([OPS[op]() for op in alive[edge]]) for edge in EDGES])
        self.head = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        both = sum(op(x) for edge in self.edges for op in edge)
        return self.head(torch.relu(both).mean((2, 3)))


class Sums:
    """A user's space that tells isomorphic architectures and offers supernets, without anything of this package."""

    name = "sums"
    input_shape = (3, 8, 8)
    num_classes = 4
    size = 9
    edges = dict.fromkeys(EDGES, tuple(OPS))

    def sample(self, rng: random.Random) -> Arch:
        return {edge: rng.choice(ops) for edge, ops in self.edges.items()}

    def mutate(self, arch: Arch, rng: random.Random) -> Arch:
        return {**arch, rng.choice(EDGES): rng.choice(tuple(OPS))}

    def crossover(self, a: Arch, b: Arch, rng: random.Random) -> Arch:
        return {edge: rng.choice((a, b))[edge] for edge in EDGES}

    def encode(self, arch: Arch) -> str:
        return json.dumps(arch)

    def decode(self, text: str) -> Arch:
        return dict(json.loads(text))

    def n_params(self, arch: Arch) -> int:
        return self.supernet_costs({edge: [op] for edge, op in arch.items()})[0]

    def macs(self, arch: Arch) -> int:
        return self.supernet_costs({edge: [op] for edge, op in arch.items()})[1]

    def build(self, arch: Arch, weights: Any = None) -> nn.Module:
        return self.supernet({edge: [op] for edge, op in arch.items()})

    def canonical(self, arch: Arch) -> str:
        return "+".join(sorted(arch.values()))

    def supernet(self, alive: Mapping[str, Any]) -> nn.Module:
        self._check(alive)
        return Sum(alive)

    def supernet_costs(self, alive: Mapping[str, Any]) -> tuple[int, int]:
        self._check(alive)
        ops = [op for edge in EDGES for op in alive[edge]]
        return 84 * ops.count("conv") + 16, sum(MACS[op] for op in ops) + 12

    def removals(self, alive: Mapping[str, Any]) -> list[list[tuple[str, str]]]:
        self._check(alive)
        return [[(edge, op) for op in ops] for edge, ops in alive.items() if len(ops) > 1]

    def path(self, alive: Mapping[str, Any]) -> Arch:
        if self.removals(alive):
            raise SpaceError(f"more than one path is left: {alive}")
        return {edge: ops[0] for edge, ops in alive.items()}

    def _check(self, alive: Mapping[str, Any]) -> None:
        for edge in EDGES:
            if not alive.get(edge):
                raise SpaceError(f"the edge {edge} is dead")


class TestSums(SpaceContract):
    def make_space(self) -> SearchSpace:
        return Sums()


class OneFunction(Sums):
    def canonical(self, arch: Arch) -> str:
        return "sum"


class Forgetful(Sums):
    def canonical(self, arch: Arch) -> str:
        return arch.pop("left") + arch["right"]


class Unstable(Sums):
    def canonical(self, arch: Arch) -> str:
        return str(random.random())


class LastOfEach(Sums):
    def path(self, alive: Mapping[str, Any]) -> Arch:
        return {edge: ops[-1] for edge, ops in alive.items()}


class Cheap(Sums):
    def supernet_costs(self, alive: Mapping[str, Any]) -> tuple[int, int]:
        self._check(alive)
        return 16, 12


class Other(Sums):
    def path(self, alive: Mapping[str, Any]) -> Arch:
        arch = super().path(alive)
        return {**arch, "left": "pool" if arch["left"] == "skip" else "skip"}


class Endless(Sums):
    def removals(self, alive: Mapping[str, Any]) -> list[list[tuple[str, str]]]:
        return [[(edge, op) for op in OPS] for edge in EDGES]


class Undead(Sums):
    def _check(self, alive: Mapping[str, Any]) -> None:
        """Whatever."""


CONTRACT = SpaceContract()
SAME_FUNCTION = CONTRACT.test_the_same_function_has_one_text_and_one_value
REMOVALS = CONTRACT.test_removals_lead_from_the_supernet_to_an_architecture


@pytest.mark.parametrize("space", [OneFunction, Forgetful, Unstable])
def test_a_text_that_is_not_that_of_the_function_is_noticed(space: type[Sums]) -> None:
    with pytest.raises(AssertionError):
        SAME_FUNCTION(space())


@pytest.mark.parametrize("space", [LastOfEach, Cheap, Other, Endless])
def test_a_supernet_that_leads_elsewhere_is_noticed(space: type[Sums]) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        REMOVALS(space())


def test_a_dead_edge_that_is_not_refused_is_noticed() -> None:
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        CONTRACT.test_a_dead_edge_is_refused_by_its_name(Undead())


def test_what_a_space_does_not_offer_is_skipped() -> None:
    space = ProxylessNas(num_classes=10, image_size=32, width_mult=0.25)
    for test in (SAME_FUNCTION, REMOVALS, CONTRACT.test_a_dead_edge_is_refused_by_its_name):
        with pytest.raises(pytest.skip.Exception):
            test(space)
