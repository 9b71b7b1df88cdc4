"""The DARTS space: its text, moves, and the published parameters of genotypes."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lswag_fast import score
from lswag_fast.errors import SpaceError
from lswag_fast.spaces import Darts, SearchSpace, get
from lswag_fast.spaces.darts.genotype import NODES

SPACE = Darts()
NAMES = {"m": "max_pool_3x3", "a": "avg_pool_3x3", "k": "skip_connect", "s": "sep_conv_", "d": "dil_conv_"}


def arch_of(normal: str, reduce: str) -> dict[str, Any]:
    """The cells of edges such as s30, a 3x3 separable convolution of node 0, and k1, a skip of node 1."""

    def op(short: str) -> str:
        return NAMES[short[0]] + (f"{short[1]}x{short[1]}" if short[0] in "sd" else "")

    cells = {"normal": normal, "reduce": reduce}
    return {field: [[op(edge), int(edge[-1])] for edge in text.split()] for field, text in cells.items()}


DARTS_V2 = arch_of("s30 s31 s30 s31 s31 k0 k0 d32", "m0 m1 k2 m1 m0 k2 k2 m1")
P_DARTS = arch_of("k0 d31 k0 s31 s31 s33 s30 d54", "a0 s51 s30 d52 m0 d31 d31 d53")
PC_DARTS = arch_of("s31 k0 s30 d31 s50 s31 a0 d31", "s51 m0 s51 s52 s30 s33 s31 s32")
PC_DARTS_IMAGENET = arch_of("k1 s30 s30 k1 s31 s33 s31 d54", "s30 k1 d52 m1 s32 s31 s50 s33")
SMALL = [Darts(channels=4, n_cells=3, image_size=8), Darts(channels=4, n_cells=4, image_size=32, stem="imagenet")]


def test_it_is_a_search_space() -> None:
    assert isinstance(SPACE, SearchSpace)
    assert repr(get("darts")) == "Darts(num_classes=10, image_size=32, channels=36, n_cells=20, stem='cifar')"
    found = get("darts-imagenet", num_classes=100)
    assert repr(found) == "Darts(num_classes=100, image_size=224, channels=48, n_cells=14, stem='imagenet')"


@pytest.mark.parametrize(
    ("name", "arch", "millions", "digits"),
    [
        ("darts", DARTS_V2, 3.349, 3),  # README of the DARTS code
        ("darts-imagenet", DARTS_V2, 4.719, 3),  # likewise
        ("darts", PC_DARTS, 3.63, 2),  # PC-DARTS (Xu et al., ICLR 2020): 3.6
        ("darts", P_DARTS, 3.43, 2),  # P-DARTS (Chen et al., ICCV 2019): 3.4
        ("darts-imagenet", PC_DARTS_IMAGENET, 5.3, 1),  # PC-DARTS
    ],
)
def test_published_parameters(name: str, arch: dict[str, Any], millions: float, digits: int) -> None:
    """In closed form and of the built network, to the digits given."""
    space = get(name)
    assert round(space.n_params(arch) / 1e6, digits) == millions
    with torch.device("meta"):
        assert sum(p.numel() for p in space.build(arch).parameters()) == space.n_params(arch)


@pytest.mark.parametrize("space", SMALL, ids=["cifar", "imagenet"])
@pytest.mark.parametrize("seed", range(4))
def test_costs_equal_the_built_network(space: Darts, seed: int) -> None:
    arch = space.sample(random.Random(seed)) if seed else P_DARTS
    net = space.build(arch).eval()
    assert space.n_params(arch) == sum(p.numel() for p in net.parameters())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        assert net(torch.zeros(2, *space.input_shape)).shape == (2, 10)
    assert space.macs(arch) == counter.get_total_flops() / (2 * 2)  # two images, two flops a MAC


def test_moves_stay_in_the_space() -> None:
    rng = random.Random(0)
    archs = [SPACE.sample(rng) for _ in range(50)]
    for a, b in itertools.pairwise(archs):
        mutant, child = SPACE.mutate(a, rng), SPACE.crossover(a, b, rng)
        assert mutant != a
        for arch in (a, mutant, child):
            assert SPACE.decode(SPACE.encode(arch)) == SPACE.decode(SPACE.genotype(arch).text()) == arch
            for edges in arch.values():
                assert all(one[1] != other[1] for one, other in zip(edges[::2], edges[1::2], strict=True))
                assert all(op != "none" for op, _ in edges)
        for cell, place in itertools.product(child, range(len(NODES))):
            edges = slice(2 * place, 2 * place + 2)
            assert child[cell][edges] in (a[cell][edges], b[cell][edges])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_cells": 2}, "n_cells: found 2, expected at least 3"),
        ({"channels": 5}, "channels: found 5, expected an even number"),
        ({"stem": "mnist"}, "stem: found 'mnist', expected cifar or imagenet"),
        ({"stem": ["imagenet"]}, r"stem: found \['imagenet'\], expected cifar or imagenet"),
        ({"stem": "imagenet", "image_size": 48}, "48 pixels cannot be halved 5 times"),
        ({"num_classes": 0}, "num_classes: found 0"),
    ],
)
def test_sizes_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        Darts(**options)
    with pytest.raises(SpaceError, match="weights: the networks of darts share none"):
        SPACE.build(DARTS_V2, weights={})
    with pytest.raises(SpaceError, match="expected an object with the fields normal, reduce"):
        SPACE.decode('{"normal": []}')


def test_it_is_scored() -> None:
    torch.manual_seed(0)
    found = score(SMALL[0].build(P_DARTS).eval(), (torch.randn(12, 3, 8, 8), torch.arange(12) % 3))
    assert found.value > 0 and found.coverage == 1
