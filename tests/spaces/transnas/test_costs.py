"""The convolutions of a network, against those of the built one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lswag_fast.spaces.layers import FactorizedReduction
from lswag_fast.spaces.transnas.costs import Convolution, convolutions
from lswag_fast.spaces.transnas.model import TransNasNet

STAGES = [(4, 8, 2), (8, 8, 1), (8, 8, 2), (8, 16, 1)]


@pytest.mark.parametrize("digits", ["313233", "111111", "000000", "023120", None])
@pytest.mark.parametrize("image_size", [64, 50])
def test_they_are_those_of_the_built_network(digits: str | None, image_size: int) -> None:
    """In the order of the calls; the two halves of a skip that changes the shape are counted as one."""
    found: list[Convolution] = []

    def note(module: nn.Module, _: object, out: torch.Tensor) -> None:
        conv = module.convs[0] if isinstance(module, FactorizedReduction) else module
        found.append(Convolution(conv.kernel_size[0], conv.in_channels, out.shape[1], out.shape[-1]))

    net = TransNasNet(STAGES, digits, num_classes=3)
    skips = [module for module in net.modules() if isinstance(module, FactorizedReduction)]
    halves = [conv for skip in skips for conv in skip.convs]
    for module in net.modules():
        if module in skips or (isinstance(module, nn.Conv2d) and module not in halves):
            module.register_forward_hook(note)
    with torch.no_grad():
        net(torch.zeros(2, 3, image_size, image_size))
    assert sorted(convolutions(STAGES, digits, image_size)) == sorted(found)
