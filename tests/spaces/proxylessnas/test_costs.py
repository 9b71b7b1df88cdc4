"""The costs of bottlenecks against those of the built ones."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lswag_fast.spaces.proxylessnas.costs import bottleneck_cost, frame_cost
from lswag_fast.spaces.proxylessnas.model import Bottleneck, InvertedBottleneck, ProxylessNet, Variant

IMAGES = 2


@pytest.mark.parametrize("squeeze_excitation", [False, True])
@pytest.mark.parametrize("shape", [Bottleneck(8, 8, 1, 5, 3), Bottleneck(8, 16, 2, 7, 6), Bottleneck(8, 4, 1, 3, 1)])
def test_a_bottleneck_costs_what_the_built_one_does(shape: Bottleneck, squeeze_excitation: bool) -> None:
    block = InvertedBottleneck(shape, Variant("relu6", squeeze_excitation)).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        side = block(torch.zeros(IMAGES, 8, 8, 8)).shape[-1]
    n_params = sum(p.numel() for p in block.parameters())
    assert bottleneck_cost(shape, side, squeeze_excitation) == (n_params, counter.get_total_flops() / (2 * IMAGES))


def test_stem_last_convolution_and_classifier() -> None:
    shape = Bottleneck(8, 16, 1, 3, 1)
    net = ProxylessNet([shape], Variant("relu6", False), 24, 5)
    others = bottleneck_cost(shape, 32, False).n_params
    found = frame_cost(stem=8, channels=16, last=24, num_classes=5, image_size=64)
    assert found.n_params == sum(p.numel() for p in net.parameters()) - others
    assert found.macs == 27 * 8 * 32**2 + 16 * 24 * 2**2 + 24 * 5
