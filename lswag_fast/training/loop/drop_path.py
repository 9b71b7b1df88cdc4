"""Drop-path: in training, residual branches are left out for some of the images (Huang et al., ECCV 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lswag_fast.errors import InputError


def add_drop_path(network: nn.Module, rate: float, n_blocks: int | None = None) -> list[Any]:
    """Let the residual branches of a network be dropped in train mode, the later ones more often.

    Args:
        network: `residual_branches()` lists, for each block, the modules whose outputs are added to the features.
        rate: probability of the last block's branches; those before rise linearly from 0.
        n_blocks: blocks over which it rises, at least those of the network; None for its own.

    Returns:
        The handles of the hooks; `remove()` undoes each.

    Raises:
        InputError: the network lists no residual branches.

    Example:
        >>> from lswag_fast.spaces import AutoFormer
        >>> space = AutoFormer(embed_dim=64, depth=2, num_heads=1, mlp_ratio=1, image_size=32)
        >>> len(add_drop_path(space.build(space.extremes()[0]), 0.1))
        4
    """
    find = getattr(network, "residual_branches", None)
    if find is None:
        raise InputError(
            f"drop_path: {type(network).__name__} does not list its residual branches (residual_branches()), so none "
            "can be dropped; take another recipe"
        )
    blocks: Sequence[Sequence[nn.Module]] = find()
    last = max(1, (n_blocks or len(blocks)) - 1)
    return [
        branch.register_forward_hook(_Dropping(rate * number / last))
        for number, branches in enumerate(blocks)
        for branch in branches
    ]


class _Dropping:
    """A forward hook: the output of a branch, 0 for some of the images and scaled up for the others."""

    def __init__(self, rate: float) -> None:
        self._keep = 1 - rate

    def __call__(self, branch: nn.Module, inputs: Any, output: Tensor) -> Tensor | None:
        if not branch.training or self._keep == 1:
            return None
        shape = (len(output), *[1] * (output.dim() - 1))
        return output * torch.empty(shape, dtype=output.dtype, device=output.device).bernoulli_(self._keep) / self._keep
