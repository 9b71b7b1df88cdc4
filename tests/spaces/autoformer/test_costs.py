"""Closed forms against the built network, the official counts and torch's own operation counter."""

import itertools
import random

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lswag_fast.spaces import AutoFormer


def built_params(space, arch):
    return sum(parameter.numel() for parameter in space.build(arch).parameters())


def counted_macs(space, arch, n_images):
    net = space.build(arch)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(n_images, *space.input_shape))
    return counter.get_total_flops() / (2 * n_images)


def test_n_params_equals_the_official_counts(published):
    space = AutoFormer("tiny")
    records = published("official_params_tiny.json")["T"]["configs"]
    assert len(records) == 20
    for record in records:
        config = record["config"]
        arch = {
            "embed_dim": config["embed_dim"][0],
            "depth": config["layer_num"],
            "num_heads": config["num_heads"],
            "mlp_ratio": config["mlp_ratio"],
        }
        assert space.n_params(arch) == record["params"]


@pytest.mark.parametrize("seed", range(5))
def test_costs_equal_the_built_network(small_space, seed):
    arch = small_space.sample(random.Random(seed))
    assert small_space.n_params(arch) == built_params(small_space, arch)
    assert small_space.macs(arch) == counted_macs(small_space, arch, n_images=3)


def test_costs_equal_the_built_network_of_a_published_space():
    space = AutoFormer("tiny")
    arch = space.sample(random.Random(0))
    assert space.n_params(arch) == built_params(space, arch)
    assert space.macs(arch) == counted_macs(space, arch, n_images=1)


def test_n_params_values_by_enumeration(small_space):
    choices = small_space.choices
    counts = {
        small_space.n_params({"embed_dim": width, "depth": depth, "num_heads": list(heads), "mlp_ratio": list(ratios)})
        for width in choices.embed_dim
        for depth in choices.depth
        for heads in itertools.product(choices.num_heads, repeat=depth)
        for ratios in itertools.product(choices.mlp_ratio, repeat=depth)
    }
    assert small_space.n_params_values() == tuple(sorted(counts))


def test_n_params_values_of_the_largest_space_are_few():
    values = AutoFormer("base").n_params_values()
    assert values == tuple(sorted(set(values)))
    assert len(values) < 10_000
