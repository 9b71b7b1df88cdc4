"""Networks with weights of their own, and cut out of the shared ones."""

from __future__ import annotations

import random

import pytest
import torch

from lswag_fast.errors import SpaceError
from lswag_fast.spaces import AutoFormer
from lswag_fast.spaces.autoformer.networks import attentions_of, hidden_dims

CHOICES = {"embed_dim": (16, 32), "depth": (1, 2), "num_heads": (1, 2), "mlp_ratio": (1, 2)}
SPACE = AutoFormer(**CHOICES, image_size=8, patch_size=4, num_classes=3)


@pytest.mark.parametrize("seed", range(4))
def test_a_cut_has_the_values_of_the_network_that_is_built(seed: int) -> None:
    weights = {name: weight.requires_grad_() for name, weight in SPACE.init_weights(seed).items()}
    arch = SPACE.sample(random.Random(seed))
    built = SPACE.build(arch, weights)
    cut = SPACE.cut(arch, weights)
    assert built.training and list(cut) == [name for name, _ in built.named_parameters()]
    assert all(torch.equal(parameter, cut[name]) for name, parameter in built.named_parameters())


@pytest.mark.parametrize("seed", range(4))
def test_a_network_on_the_shared_weights_is_that_of_the_cut(seed: int) -> None:
    """Its logits, and the gradients in the shared weights, are those of a built network that runs with the cut."""
    arch, images = SPACE.sample(random.Random(seed)), torch.randn(2, *SPACE.input_shape)
    gradients = []
    for at_once in (False, True):
        weights = {name: weight.requires_grad_() for name, weight in SPACE.init_weights(seed).items()}
        if at_once:
            logits = SPACE.entangled(arch, weights)(images)
        else:
            logits = torch.func.functional_call(SPACE.build(arch, weights), SPACE.cut(arch, weights), (images,))
        logits.square().sum().backward()
        gradients.append({name: weight.grad for name, weight in weights.items() if weight.grad is not None})
    expected, found = gradients
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_cut_copies_only_what_lies_in_several_pieces() -> None:
    weights = SPACE.init_weights(0)
    narrow, wide = SPACE.extremes()
    table = "blocks.1.attn.rel_pos_embed_k.embeddings_table_v"  # of the same size in every network
    assert SPACE.cut(wide, weights)[table].data_ptr() == weights[table].data_ptr()
    cut = SPACE.cut(narrow, weights)
    assert cut["blocks.0.fc1.bias"].data_ptr() == weights["blocks.0.fc1.bias"].data_ptr()
    assert cut["blocks.0.fc1.weight"].data_ptr() != weights["blocks.0.fc1.weight"].data_ptr()
    assert all(part.is_contiguous() for part in cut.values())


@pytest.mark.parametrize("which", [0, 1])
def test_a_network_that_is_built_owns_its_weights(which: int) -> None:
    weights = SPACE.init_weights(0)
    before = {name: weight.clone() for name, weight in weights.items()}
    network = SPACE.build(SPACE.extremes()[which], weights)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(7.0)
    assert all(torch.equal(weight, before[name]) for name, weight in weights.items())


def test_weights_of_another_space_are_refused() -> None:
    other = AutoFormer(**{**CHOICES, "embed_dim": 16}, image_size=8, patch_size=2, num_classes=3)
    with pytest.raises(SpaceError, match="weights: pos_embed has shape"):
        SPACE.cut(SPACE.extremes()[0], other.init_weights(0))


def test_sizes_of_blocks() -> None:
    arch = {"embed_dim": 32, "num_heads": [1, 2], "mlp_ratio": [1.0, 2.0]}
    assert attentions_of(arch) == [(64, 64), (128, 64)] and hidden_dims(arch) == [32, 64]
    assert attentions_of({**arch, "qkv_dim": [16, 32]}) == [(16, 16), (32, 16)]
