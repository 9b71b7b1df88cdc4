"""Genes of the AutoFormer space: what is drawn, moved and written is legal, and what is illegal is named."""

import itertools
import json
import random

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lswag_fast.errors import LswagError, SpaceError
from lswag_fast.spaces import AutoFormer

SPACE = AutoFormer("small")
FREE = AutoFormer(embed_dim=(64, 96, 128), depth=(2, 5), num_heads=(1, 2, 3), mlp_ratio=(2.0, 4.0), image_size=32)
ARCH = {"embed_dim": 64, "depth": 2, "num_heads": [1, 3], "mlp_ratio": [2.0, 4.0]}
seeds = st.integers(0, 2**32)


def is_legal(space, arch):
    choices, depth = space.choices, arch["depth"]
    return (
        arch["embed_dim"] in choices.embed_dim
        and depth in choices.depth
        and len(arch["num_heads"]) == len(arch["mlp_ratio"]) == depth
        and set(arch["num_heads"]) <= set(choices.num_heads)
        and set(arch["mlp_ratio"]) <= set(choices.mlp_ratio)
    )


@pytest.mark.parametrize("name", ["tiny", "small", "base"])
def test_sample_is_legal_and_repeats_with_the_seed(name):
    space = AutoFormer(name)
    first = [space.sample(random.Random(seed)) for seed in range(50)]
    assert all(is_legal(space, arch) for arch in first)
    assert first == [space.sample(random.Random(seed)) for seed in range(50)]
    assert len({space.encode(arch) for arch in first}) == 50


def test_sample_draws_every_gene_uniformly():
    rng, n_draws = random.Random(0), 3000
    draws = [FREE.sample(rng) for _ in range(n_draws)]
    genes = {
        "embed_dim": [arch["embed_dim"] for arch in draws],
        "depth": [arch["depth"] for arch in draws],
        "num_heads": [heads for arch in draws for heads in arch["num_heads"]],
        "mlp_ratio": [ratio for arch in draws for ratio in arch["mlp_ratio"]],
    }
    for field, values in genes.items():
        choices = getattr(FREE.choices, field)
        share = 1 / len(choices)
        # Five standard deviations of a binomial share: a correct sampler fails once in a million.
        tolerance = 5 * (share * (1 - share) / len(values)) ** 0.5
        assert all(abs(values.count(choice) / len(values) - share) < tolerance for choice in choices), field


@given(seeds)
def test_mutation_is_legal_and_leaves_its_parent_alone(seed):
    rng = random.Random(seed)
    parent = FREE.sample(rng)
    before = json.dumps(parent)
    assert is_legal(FREE, FREE.mutate(parent, rng, m_prob=0.5, s_prob=0.5))
    assert json.dumps(parent) == before


def test_mutation_probabilities():
    rng = random.Random(1)
    parent = FREE.sample(rng)
    assert FREE.mutate(parent, rng, m_prob=0.0, s_prob=0.0) == parent
    blocks = [FREE.mutate(parent, rng, m_prob=1.0, s_prob=0.0) for _ in range(100)]
    assert {arch["depth"] for arch in blocks} == {parent["depth"]}
    assert {arch["embed_dim"] for arch in blocks} == {parent["embed_dim"]}
    assert {heads for arch in blocks for heads in arch["num_heads"]} == {1, 2, 3}
    whole = [FREE.mutate(parent, rng, m_prob=0.0, s_prob=1.0) for _ in range(100)]
    assert {arch["depth"] for arch in whole} == {2, 5}
    assert all(arch["num_heads"][:2] == parent["num_heads"][:2] for arch in whole)


@given(seeds)
def test_crossover_takes_each_gene_from_a_parent(seed):
    rng = random.Random(seed)
    a, b = FREE.sample(rng), FREE.sample(rng)
    child = FREE.crossover(a, b, rng)
    assert is_legal(FREE, child)
    assert child["embed_dim"] in (a["embed_dim"], b["embed_dim"])
    assert child["depth"] in (a["depth"], b["depth"])
    for field in ("num_heads", "mlp_ratio"):
        for layer, gene in enumerate(child[field]):
            assert gene in [parent[field][layer] for parent in (a, b) if layer < parent["depth"]]


def test_crossover_mixes_both_parents():
    rng = random.Random(0)
    a = {"embed_dim": 64, "depth": 5, "num_heads": [1] * 5, "mlp_ratio": [2.0] * 5}
    b = {"embed_dim": 96, "depth": 5, "num_heads": [2] * 5, "mlp_ratio": [4.0] * 5}
    children = [FREE.crossover(a, b, rng) for _ in range(60)]
    assert {child["embed_dim"] for child in children} == {64, 96}
    for layer in range(5):
        assert {child["num_heads"][layer] for child in children} == {1, 2}
        assert {child["mlp_ratio"][layer] for child in children} == {2.0, 4.0}


@given(seeds)
@settings(max_examples=30)
def test_encode_decode_round_trip(seed):
    arch = SPACE.sample(random.Random(seed))
    text = SPACE.encode(arch)
    assert SPACE.decode(text) == arch
    assert "\n" not in text
    assert SPACE.encode(SPACE.decode(text)) == text


def test_encode_is_canonical():
    reordered = {field: ARCH[field] for field in reversed(ARCH)}
    loose = ARCH | {"embed_dim": numpy.int64(64), "num_heads": (1, 3), "mlp_ratio": [2, numpy.float64(4.0)]}
    assert FREE.encode(reordered) == FREE.encode(loose) == FREE.encode(ARCH)


def test_size_by_enumeration(small_space):
    choices = small_space.choices
    texts = {
        small_space.encode({"embed_dim": width, "depth": depth, "num_heads": list(heads), "mlp_ratio": list(ratios)})
        for width in choices.embed_dim
        for depth in choices.depth
        for heads in itertools.product(choices.num_heads, repeat=depth)
        for ratios in itertools.product(choices.mlp_ratio, repeat=depth)
    }
    assert len(texts) == small_space.size


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"embed_dim": 65}, "embed_dim: found 65, autoformer allows 64, 96, 128"),
        ({"embed_dim": [64, 64]}, "embed_dim: found"),
        ({"embed_dim": 64.0}, "embed_dim: found 64.0"),
        ({"depth": 3}, "depth: found 3, autoformer allows 2, 5"),
        ({"depth": True}, "depth: found True"),
        ({"num_heads": [1, True]}, r"num_heads\[1\]: found True"),
        ({"num_heads": [1, 4]}, r"num_heads\[1\]: found 4, autoformer allows 1, 2, 3"),
        ({"num_heads": [1]}, "num_heads: found 1 values, expected 2"),
        ({"num_heads": 3}, "num_heads: found 3, expected a list of 2 values"),
        ({"mlp_ratio": [2.0, float("nan")]}, r"mlp_ratio\[1\]: found nan"),
        ({"mlp_ratio": [2.0, "4.0"]}, r"mlp_ratio\[1\]: found '4.0'"),
        ({"layer_num": 2}, "expected embed_dim, depth, num_heads, mlp_ratio"),
    ],
)
def test_illegal_architecture_is_named(change, words):
    for use in (FREE.validate, FREE.encode, FREE.n_params, FREE.macs, FREE.build):
        with pytest.raises(SpaceError, match=words) as caught:
            use(ARCH | change)
        assert isinstance(caught.value, (LswagError, ValueError))
    with pytest.raises(SpaceError, match=words):
        FREE.mutate(ARCH | change, random.Random(0))
    with pytest.raises(SpaceError, match=words):
        FREE.crossover(ARCH, ARCH | change, random.Random(0))


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "null", "{}", "[" * 100_000, '{"embed_dim": 64}', None])
def test_decode_refuses_what_is_no_architecture(text):
    with pytest.raises(SpaceError, match="architecture: "):
        FREE.decode(text)


def test_attributes_and_repr_show_the_space():
    space = AutoFormer("tiny", image_size=64, patch_size=8, num_classes=10)
    assert (space.name, space.input_shape, space.image_size, space.patch_size, space.num_classes) == (
        "autoformer-tiny",
        (3, 64, 64),
        64,
        8,
        10,
    )
    assert "embed_dim=(192, 216, 240)" in repr(space)
    assert "num_classes=10" in repr(space)
