"""What both TransNAS-Bench-101 spaces do: text, costs, refusals."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lswag_fast import score
from lswag_fast.errors import SpaceError
from lswag_fast.spaces import SearchSpace, TransNasMacro, TransNasMicro, get
from lswag_fast.spaces.transnas.base import TransNas

SMALL = [space(num_classes=3, image_size=48, channels=8) for space in (TransNasMicro, TransNasMacro)]
NETWORKS = {"transnas-micro": "64-41414-3_30_232", "transnas-macro": "64-1234-basic"}


@pytest.mark.parametrize("name", NETWORKS)
def test_they_are_search_spaces_with_the_published_text(name: str) -> None:
    space: Any = get(name)
    assert isinstance(space, SearchSpace)
    assert (space.input_shape, space.num_classes) == ((3, 256, 256), 75)
    assert "(num_classes=47, image_size=64, channels=64)" in repr(get(name, num_classes=47, image_size=64))
    arch = {"network": NETWORKS[name]}
    assert space.decode(NETWORKS[name]) == space.decode(space.encode(arch)) == arch
    with pytest.raises(SpaceError, match=f"weights: the networks of {name} share none"):
        space.build(arch, weights={})


@pytest.mark.parametrize("space", SMALL, ids=repr)
def test_costs_equal_the_built_network(space: TransNas) -> None:
    for seed in range(4):
        arch = space.sample(random.Random(seed))
        net = space.build(arch).eval()
        assert space.n_params(arch) == sum(p.numel() for p in net.parameters())
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            assert net(torch.zeros(2, *space.input_shape)).shape == (2, 3)
        assert space.macs(arch) == counter.get_total_flops() / (2 * 2)  # two images, two flops a MAC


@pytest.mark.parametrize("space", SMALL, ids=repr)
def test_they_are_scored(space: TransNas) -> None:
    torch.manual_seed(0)
    text = {"transnas-micro": "8-41414-3_13_213", "transnas-macro": "8-1234-basic"}[space.name]
    found = score(space.build(space.decode(text)).eval(), (torch.randn(16, 3, 48, 48), torch.arange(16) % 3))
    assert found.value > 0 and found.coverage == 1


@pytest.mark.parametrize("space", SMALL, ids=repr)
@pytest.mark.parametrize(
    "text", ["{", '{"cell": "8-1234-basic"}', '{"network": 7}', "16-1234-basic", "8-41414-3_30", "[]"]
)
def test_what_is_no_architecture_is_refused(space: TransNas, text: str) -> None:
    with pytest.raises(SpaceError, match=r"not readable as JSON|with the field network|network: found .*, expected 8-"):
        space.decode(text)


def test_sizes_are_checked() -> None:
    with pytest.raises(SpaceError, match="channels: found 7, expected an even number"):
        TransNasMicro(channels=7)
    with pytest.raises(SpaceError, match="num_classes: found 0"):
        TransNasMacro(num_classes=0)
