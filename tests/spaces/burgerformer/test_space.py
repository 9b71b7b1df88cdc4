"""The BurgerFormer space: its text and moves, and the published costs of published networks."""

from __future__ import annotations

import copy
import itertools
import random
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lswag_fast import score
from lswag_fast.errors import SpaceError
from lswag_fast.spaces import BurgerFormer, SearchSpace, get
from lswag_fast.spaces.burgerformer.model import Pooling
from lswag_fast.spaces.layers import ChannelNorm

SPACE = BurgerFormer()
SMALL = BurgerFormer(num_classes=5, image_size=32)
NO = "skip-skip-skip-skip-skip"


def arch_of(depth: list[int], width: list[int], ratio: list[int], layers: str) -> dict[str, Any]:
    """The layers as in the public code, but without what is always a skip: `LN-avgpool-skip-skip`, and - for all."""
    texts = [NO if text == "-" else f"skip-{text}" for text in layers.split()]
    return {"depth": depth, "width": width, "ratio": ratio, "layers": [texts[i : i + 3] for i in range(0, 12, 3)]}


TINY = arch_of(
    [2, 4, 4, 4],
    [32, 96, 192, 384],
    [4, 1, 4, 6],
    "- GN-dwise_3x3-skip-gelu skip-avgpool-LN-silu "
    "skip-dwise_3x3-LN-silu LN-dwise_3x3-skip-relu6 skip-dwise_3x3-BN-relu6 "
    "LN-avgpool-skip-silu - GN-spatial_mlp-skip-skip - skip-dwise_3x3-LN-skip -",
)
SMALL_NET = arch_of(
    [3, 3, 5, 4],
    [96, 128, 256, 512],
    [1, 6, 4, 4],
    "GN-avgpool-skip-silu skip-dwise_3x3-LN-silu skip-dwise_3x3-BN-relu6 "
    "skip-conv_1x1-BN-relu6 skip-dwise_3x3-GN-skip skip-avgpool-LN-silu "
    "skip-dwise_3x3-BN-gelu - - skip-avgpool-LN-relu6 skip-dwise_3x3-GN-skip BN-spatial_mlp-skip-silu",
)
BASE = arch_of(
    [2, 2, 6, 3],
    [96, 128, 320, 512],
    [2, 6, 6, 6],
    "skip-avgpool-GN-silu - LN-avgpool-skip-skip BN-dwise_3x3-skip-skip - GN-dwise_3x3-skip-relu6 "
    "skip-self_atten-GN-silu skip-dwise_3x3-LN-silu skip-conv_1x1-LN-gelu "
    "LN-self_atten-skip-gelu - skip-avgpool-GN-silu",
)
LARGE = arch_of(
    [4, 4, 8, 4],
    [96, 128, 320, 512],
    [6, 6, 6, 6],
    "skip-avgpool-LN-skip skip-dwise_3x3-LN-silu GN-dwise_3x3-skip-skip "
    "BN-dwise_3x3-skip-silu GN-dwise_3x3-skip-relu6 BN-conv_1x1-skip-skip "
    "skip-self_atten-GN-relu6 skip-dwise_3x3-GN-gelu GN-conv_1x1-skip-relu6 "
    "BN-conv_1x1-skip-silu skip-dwise_3x3-GN-skip GN-self_atten-skip-gelu",
)


def test_it_is_a_search_space() -> None:
    assert isinstance(SPACE, SearchSpace)
    assert repr(get("burgerformer", num_classes=10)) == "BurgerFormer(num_classes=10, image_size=224)"


def test_parameters_of_published_networks() -> None:
    """In millions, as the authors' README gives them, to one per cent."""
    published = [10, 14, 26, 36]
    found = [SPACE.n_params(arch) / 1e6 for arch in (TINY, SMALL_NET, BASE, LARGE)]
    assert found == pytest.approx(published, rel=0.01)


@pytest.mark.parametrize(("arch", "giga"), [(TINY, 1.0), (LARGE, 6.5)], ids=["tiny", "large"])
def test_operations_of_published_networks(arch: dict[str, Any], giga: float) -> None:
    """FLOPs of the authors' README, to its digits.

    They are multiply-accumulates and, beside them, two operations for each output of a norm and one for each of an
    activation, a pooling and a bias of a convolution, which `macs` does not count.
    """
    others: list[int] = []
    norms = nn.GroupNorm, nn.BatchNorm2d, ChannelNorm
    once = nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, Pooling

    def note(module: nn.Module, _: Any, out: torch.Tensor) -> None:
        if isinstance(module, norms):
            others.append(2 * out.numel())
        elif isinstance(module, once) or (isinstance(module, nn.Conv2d) and module.bias is not None):
            others.append(out.numel())

    with torch.device("meta"):
        net = SPACE.build(arch).eval()
        for module in net.modules():
            module.register_forward_hook(note)
        net(torch.zeros(1, *SPACE.input_shape))
    assert sum(p.numel() for p in net.parameters()) == SPACE.n_params(arch)
    assert round((SPACE.macs(arch) + sum(others)) / 1e9, 1) == giga


@pytest.mark.parametrize("seed", range(3))
def test_costs_equal_the_built_network(seed: int) -> None:
    arch = SMALL.sample(random.Random(seed))
    net = SMALL.build(arch).eval()
    assert SMALL.n_params(arch) == sum(p.numel() for p in net.parameters())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        assert net(torch.zeros(2, *SMALL.input_shape)).shape == (2, 5)
    assert SMALL.macs(arch) == counter.get_total_flops() / (2 * 2)  # two images, two flops a MAC


def test_moves_stay_in_the_space() -> None:
    rng = random.Random(0)
    archs = [SPACE.sample(rng) for _ in range(50)]
    for a, b in itertools.pairwise(archs):
        before = copy.deepcopy((a, b))
        mutant, child = SPACE.mutate(a, rng), SPACE.crossover(a, b, rng)
        assert (a, b) == before
        old, new = SPACE.suggested(a), SPACE.suggested(mutant)
        assert sum(old[name] != new[name] for name in old) == 1
        theirs = SPACE.suggested(b)
        assert all(value in (old[name], theirs[name]) for name, value in SPACE.suggested(child).items())
        for arch in (a, mutant, child):
            assert SPACE.decode(SPACE.encode(arch)) == arch


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": [2, 2, 6]}, r"depth: found \[2, 2, 6\], expected one entry for each of 4 stages"),
        ({"depth": [2, 2, 9, 3]}, "depth of stage 3: found 9, expected one of 1, 2, 3, 4, 5, 6, 7, 8"),
        ({"width": [96, 128, 320, 500]}, "width of stage 4: found 500, expected one of 128, 256, 384, 512"),
        ({"ratio": [2, 6, True, 6]}, "ratio of stage 3: found True"),
        ({"depth": [2, 2, 6.0, 2]}, "depth of stage 3: found 6.0"),
        ({"layers": [[NO], *BASE["layers"][1:]]}, "layers of stage 1: found .*, expected bread, meat and bread"),
        ({"layers": [[NO, NO, "skip-LN-self_atten-skip-gelu"], *BASE["layers"][1:]]}, "layers of stage 1: layer 3 is"),
        ({"layers": [[NO, "skip-LN-avgpool-skip-gelu", NO], *BASE["layers"][1:]]}, "an operation of dwise_3x3 and"),
        ({"layers": [[NO, NO, "skip-LN-avgpool-GN-gelu"], *BASE["layers"][1:]]}, "with one norm of BN, GN, LN"),
        ({"layers": [[NO, NO, 3], *BASE["layers"][1:]]}, "layer 3 is 3"),
        ({"heads": [4, 8]}, "expected an object with the fields depth, width, ratio, layers"),
    ],
)
def test_what_is_no_member_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        SPACE.encode({**BASE, **change})


def test_sizes_are_checked() -> None:
    with pytest.raises(SpaceError, match="48 pixels cannot be halved 5 times"):
        BurgerFormer(image_size=48)
    with pytest.raises(SpaceError, match="weights: the networks of burgerformer share none"):
        SPACE.build(BASE, weights={})


def test_it_is_scored() -> None:
    """Also where the bread looks at all positions."""
    torch.manual_seed(0)
    layers = [[NO, NO, "skip-BN-conv_1x1-skip-silu"]] * 2
    layers += [["skip-LN-self_atten-skip-gelu", NO, "skip-skip-spatial_mlp-GN-skip"], [NO, NO, NO]]
    arch = {"depth": [1] * 4, "width": [32, 64, 128, 128], "ratio": [1] * 4, "layers": layers}
    found = score(SMALL.build(arch).eval(), (torch.randn(4, 3, 32, 32), torch.arange(4) % 5), pattern_samples=4)
    assert found.value > 0 and found.coverage == 1
