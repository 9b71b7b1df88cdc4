"""Which branches are dropped, how often, and what is left of the others."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from lswag_fast.errors import InputError
from lswag_fast.spaces import AutoFormer
from lswag_fast.training.loop.drop_path import add_drop_path


class Branches(nn.Module):
    def __init__(self, n_blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Identity() for _ in range(n_blocks))

    def residual_branches(self) -> list[tuple[nn.Module, ...]]:
        return [(block,) for block in self.blocks]


def test_rates_rise_linearly_and_the_mean_is_kept() -> None:
    network = Branches(3).train()
    add_drop_path(network, 0.5, n_blocks=5)  # 0, 1/8, 1/4: the last block would have 1/2
    torch.manual_seed(0)
    n = 20_000
    for block, rate in zip(network.blocks, (0, 1 / 8, 1 / 4), strict=True):
        out = block(torch.ones(n, 2, 2))
        kept = out[:, 0, 0] != 0
        assert torch.equal(out, (kept.float() / (1 - rate)).view(-1, 1, 1).expand(n, 2, 2))
        # Five standard errors of a share.
        assert abs(1 - kept.float().mean().item() - rate) <= 5 * math.sqrt(rate * (1 - rate) / n)


def test_nothing_is_dropped_in_eval_mode_or_when_removed() -> None:
    network = Branches(2)
    handles = add_drop_path(network, 0.9)
    ones = torch.ones(100, 1)
    assert torch.equal(network.eval().blocks[1](ones), ones)
    for handle in handles:
        handle.remove()
    assert torch.equal(network.train().blocks[1](ones), ones)


def test_a_dropped_block_of_a_transformer_passes_its_input_on() -> None:
    space = AutoFormer(embed_dim=16, depth=2, num_heads=1, mlp_ratio=1, image_size=8, patch_size=4)
    network = space.build(space.extremes()[0]).train()
    add_drop_path(network, 1 - 1e-9)  # the second block is dropped, but for one in a thousand million
    tokens = torch.randn(3, 5, 16)
    assert torch.equal(network.blocks[1](tokens, network.relative_index), tokens)
    assert not torch.equal(network.blocks[0](tokens, network.relative_index), tokens)


def test_a_network_that_lists_no_branches_is_refused() -> None:
    with pytest.raises(InputError, match="drop_path: Linear does not list its residual branches"):
        add_drop_path(nn.Linear(2, 2), 0.1)
