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


def test_weights_of_another_space_are_refused() -> None:
    other = AutoFormer(**{**CHOICES, "embed_dim": 16}, image_size=8, patch_size=2, num_classes=3)
    with pytest.raises(SpaceError, match="weights: pos_embed has shape"):
        SPACE.cut(SPACE.extremes()[0], other.init_weights(0))


def test_sizes_of_blocks() -> None:
    arch = {"embed_dim": 32, "num_heads": [1, 2], "mlp_ratio": [1.0, 2.0]}
    assert attentions_of(arch) == [(64, 64), (128, 64)] and hidden_dims(arch) == [32, 64]
    assert attentions_of({**arch, "qkv_dim": [16, 32]}) == [(16, 16), (32, 16)]
