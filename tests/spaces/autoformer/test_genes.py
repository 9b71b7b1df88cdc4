"""A width of queries, keys and values of a block's own: legal whatever is drawn, redrawn or crossed."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from lswag_fast.errors import SpaceError
from lswag_fast.spaces import AutoFormer, get
from lswag_fast.spaces.autoformer.choices import Choices
from lswag_fast.spaces.autoformer.genes import drawn_blocks, mutated_blocks, resized_blocks
from lswag_fast.testing import SpaceContract

OWN: dict[str, Any] = {"embed_dim": (16, 24), "depth": (1, 2, 3), "num_heads": (2, 3), "mlp_ratio": (1, 2)}
SPACE = AutoFormer(**OWN, qkv_dim=(12, 16, 18), image_size=8, patch_size=4, num_classes=3)
PAIRS = {(2, 12), (2, 16), (2, 18), (3, 12), (3, 18)}
"""(heads, width) of the blocks of SPACE."""


class TestWidthsOfTheirOwn(SpaceContract):
    """Text, choices, costs, the cut of the shared weights, extremes: the same as for every space."""

    def make_space(self) -> AutoFormer:
        return SPACE


def pairs(arch: dict[str, Any]) -> list[tuple[int, int]]:
    return list(zip(arch["num_heads"], arch["qkv_dim"], strict=True))


def test_every_pair_is_drawn_heads_uniformly_and_then_widths() -> None:
    rng = random.Random(0)
    drawn = [pair for _ in range(2000) for pair in pairs(SPACE.sample(rng))]
    assert set(drawn) == PAIRS
    for pair in PAIRS:
        share = 1 / 6 if pair[0] == 2 else 1 / 4
        # Five standard deviations of a binomial share: a correct sampler fails once in a million.
        assert abs(drawn.count(pair) / len(drawn) - share) < 5 * (share * (1 - share) / len(drawn)) ** 0.5


@given(st.integers(0, 2**32))
def test_moves_are_legal(seed: int) -> None:
    rng = random.Random(seed)
    a, b = SPACE.sample(rng), SPACE.sample(rng)
    mutated, crossed = SPACE.mutate(a, rng, m_prob=0.5, s_prob=0.5), SPACE.crossover(a, b, rng)
    assert set(pairs(mutated)) <= PAIRS
    for block, pair in enumerate(pairs(crossed)):
        assert pair in [pairs(parent)[block] for parent in (a, b) if block < parent["depth"]]


def test_only_a_width_that_its_heads_cannot_share_is_redrawn_against_chance() -> None:
    choices, rng = SPACE.choices, random.Random(0)
    blocks = {"num_heads": [2, 2], "mlp_ratio": [1.0, 2.0], "qkv_dim": [16, 18]}
    assert mutated_blocks(choices, blocks, 0.0, rng) == blocks
    broken = {**blocks, "num_heads": [3, 3]}
    redrawn = [mutated_blocks(choices, broken, 0.0, rng)["qkv_dim"] for _ in range(40)]
    assert {widths[0] for widths in redrawn} == {12, 18} and {widths[1] for widths in redrawn} == {18}


def test_a_deeper_network_keeps_its_blocks() -> None:
    choices, rng = SPACE.choices, random.Random(0)
    blocks = drawn_blocks(choices, 2, rng)
    deeper = resized_blocks(choices, blocks, 3, rng)
    assert {field: values[:2] for field, values in deeper.items()} == blocks
    assert resized_blocks(choices, deeper, 2, rng) == blocks


def test_without_the_gene_nothing_is_drawn_for_it() -> None:
    choices = Choices((16,), (1,), (2, 3), (1.0, 2.0))
    first, again = random.Random(0), random.Random(0)
    blocks = drawn_blocks(choices, 3, first)
    assert blocks == {field: [again.choice(getattr(choices, field)) for _ in range(3)] for field in blocks}
    assert list(blocks) == ["mlp_ratio", "num_heads"] and first.getstate() == again.getstate()


def test_costs_and_members_by_enumeration() -> None:
    """Every architecture of one and two blocks: size, parameters as built, and their list."""
    space = AutoFormer(**OWN | {"depth": (1, 2)}, qkv_dim=(12, 16, 18), image_size=8, patch_size=4, num_classes=3)
    archs = [
        {"embed_dim": width, "depth": depth, "num_heads": [h for h, _ in chosen], "mlp_ratio": list(ratios)}
        | {"qkv_dim": [w for _, w in chosen]}
        for width in (16, 24)
        for depth in (1, 2)
        for chosen in itertools.product(sorted(PAIRS), repeat=depth)
        for ratios in itertools.product((1.0, 2.0), repeat=depth)
    ]
    counts = [space.n_params(arch) for arch in archs]
    assert len({space.encode(arch) for arch in archs}) == space.size == len(archs)
    assert space.n_params_values() == tuple(sorted(set(counts)))
    for arch, n_params in list(zip(archs, counts, strict=True))[::7]:
        net = space.build(arch)
        assert n_params == sum(parameter.numel() for parameter in net.parameters())
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            net(torch.zeros(1, 3, 8, 8))
        assert space.macs(arch) == counter.get_total_flops() / 2


def test_the_published_supernets_fit() -> None:
    """Of Tiny the widths are 192 and 256, which three and four heads share; Small's are 64 for each head again."""
    tiny, small = get("autoformer-tiny", qkv_dim=(192, 256)), AutoFormer("small", qkv_dim=(320, 384, 448))
    assert tiny.supernet_shapes() == AutoFormer("tiny").supernet_shapes()
    assert small.supernet_shapes() == AutoFormer("small").supernet_shapes()
    arch = AutoFormer("small").sample(random.Random(0))
    same = {**arch, "qkv_dim": [64 * heads for heads in arch["num_heads"]]}
    assert small.n_params(same) == AutoFormer("small").n_params(arch)
    assert small.size == AutoFormer("small").size and repr(small) != repr(AutoFormer("small"))
    shares = tiny.build(
        {"embed_dim": 192, "depth": 12, "num_heads": [4] * 12, "mlp_ratio": [4] * 12, "qkv_dim": [192] * 12}
    )
    assert shares.blocks[0].attn.rel_pos_embed_k.embeddings_table_v.shape == (30, 48)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"qkv_dim": [16]}, r"qkv_dim\[0\]: 16 is no multiple of num_heads\[0\], 3"),
        ({"qkv_dim": [13]}, r"qkv_dim\[0\]: found 13, autoformer allows 12, 16, 18"),
        ({"qkv_dim": 12}, "qkv_dim: found 12, expected a list of 1 values, one per block"),
    ],
)
def test_an_illegal_width_is_named(change: dict[str, Any], words: str) -> None:
    arch = {"embed_dim": 16, "depth": 1, "num_heads": [3], "mlp_ratio": [1.0], "qkv_dim": [12]}
    assert SPACE.decode(SPACE.encode(arch)) == arch
    with pytest.raises(SpaceError, match=words):
        SPACE.encode(arch | change)
    without = {field: arch[field] for field in OWN}
    with pytest.raises(SpaceError, match="expected embed_dim, depth, num_heads, mlp_ratio, qkv_dim"):
        SPACE.encode(without)
