"""The costs of layers against those of the built ones."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lswag_fast.spaces.burgerformer.choices import MEAT, NO_LAYER, Layer, operations
from lswag_fast.spaces.burgerformer.costs import layer_cost, network_cost, stage_cost
from lswag_fast.spaces.burgerformer.model import Burger, BurgerFormerNet, Stage, layer_modules

SIDE, IMAGES = 4, 2


def counted(net: nn.Module, *shape: int) -> tuple[int, float]:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.eval()(torch.zeros(IMAGES, *shape))
    return sum(p.numel() for p in net.parameters()), counter.get_total_flops() / (2 * IMAGES)


def stage_of(*layers: Layer) -> Stage:
    return Stage(depth=2, width=8, ratio=4, layers=layers, side=SIDE, heads=2)


@pytest.mark.parametrize("op", operations(3, 0))
def test_a_layer_costs_what_the_built_one_does(op: str) -> None:
    layer = NO_LAYER if op == NO_LAYER.op else Layer(op, "LN", True, "gelu")
    net = nn.Sequential(*layer_modules(layer, 8, stage_of(layer)))
    assert layer_cost(layer, 8, SIDE) == counted(net, 8, SIDE, SIDE)


def test_the_layers_of_a_block_add_up() -> None:
    meat = Layer("dwise_3x3", "BN", False, "silu")
    for bread in (NO_LAYER, Layer("conv_1x1", "GN", False, "relu6")):
        stage = stage_of(bread, meat, bread)
        n_params, macs = counted(Burger(stage), 8, SIDE, SIDE)
        assert stage_cost(None, stage) == (2 * n_params, 2 * macs)
        assert stage_cost(16, stage) == (2 * n_params + 9 * 16 * 8 + 8 + 2 * 8, 2 * macs + 9 * 16 * 8 * SIDE**2)


def test_stem_and_classifier() -> None:
    """A network of one stage, less the stage."""
    stage = stage_of(NO_LAYER, NO_LAYER, NO_LAYER)
    whole, part = network_cost([stage], num_classes=5), stage_cost(None, stage)
    n_params, macs = counted(BurgerFormerNet([stage], num_classes=5), 3, 4 * SIDE, 4 * SIDE)
    assert whole == (n_params, macs)
    assert whole.n_params > part.n_params and len(stage.layers) > MEAT
