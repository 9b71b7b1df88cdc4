"""The ProxylessNAS space: its text and moves, and the published costs of published networks."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lswag_fast import score
from lswag_fast.errors import SpaceError
from lswag_fast.spaces import ProxylessNas, SearchSpace, get

SPACE = ProxylessNas()
SMALL = {"num_classes": 5, "image_size": 32, "width_mult": 0.25}


def arch_of(text: str) -> dict[str, Any]:
    """The blocks of words such as 53, a 5x5 kernel with expansion 3, and -, a skip."""
    return {"blocks": ["skip" if word == "-" else f"{word[0]}x{word[0]}_MBConv{word[1]}" for word in text.split()]}


GPU = arch_of("53 - - - 73 - - 33 76 - - 53 56 - 33 53 76 76 76 56 76")
CPU = arch_of("36 33 33 33 36 33 33 53 36 - - 33 56 33 33 33 56 53 53 33 56")
MOBILE = arch_of("53 33 - - 73 33 53 53 76 53 53 53 56 53 53 53 76 76 73 73 76")


def test_it_is_a_search_space() -> None:
    assert isinstance(SPACE, SearchSpace)
    assert repr(get("proxylessnas", num_classes=10, image_size=32)) == (
        "ProxylessNas(num_classes=10, image_size=32, width_mult=1.0, stage_widths=(24, 40, 80, 96, 192, 320), "
        "squeeze_excitation=False, activation='relu6')"
    )


@pytest.mark.parametrize(
    ("arch", "options", "n_params"),
    [
        (GPU, {"width_mult": 1.35}, 7_119_848),
        (CPU, {"width_mult": 1.12}, 4_361_648),
        (MOBILE, {"stage_widths": (32, 40, 80, 96, 192, 320)}, 4_080_512),
        (MOBILE, {"width_mult": 1.4, "stage_widths": (28, 40, 80, 96, 184, 320)}, 6_857_568),
    ],
    ids=["gpu", "cpu", "mobile", "mobile-14"],
)
def test_parameters_of_published_networks(arch: dict[str, Any], options: dict[str, Any], n_params: int) -> None:
    """Those of the published checkpoints, as pytorchcv counts them."""
    space = ProxylessNas(**options)
    assert space.n_params(arch) == n_params
    with torch.device("meta"):
        assert sum(p.numel() for p in space.build(arch).parameters()) == n_params


def test_multiply_accumulates_of_published_networks() -> None:
    """In millions, as the authors' README gives them for Mobile and Mobile-14."""
    mobile = ProxylessNas(stage_widths=(32, 40, 80, 96, 192, 320))
    mobile_14 = ProxylessNas(width_mult=1.4, stage_widths=(28, 40, 80, 96, 184, 320))
    assert [round(space.macs(MOBILE) / 1e6) for space in (mobile, mobile_14)] == [320, 581]


@pytest.mark.parametrize("options", [{}, {"squeeze_excitation": True, "activation": "swish"}], ids=["plain", "se"])
@pytest.mark.parametrize("seed", range(2))
def test_costs_equal_the_built_network(options: dict[str, Any], seed: int) -> None:
    space = ProxylessNas(**SMALL, **options)
    arch = space.sample(random.Random(seed))
    net = space.build(arch).eval()
    assert space.n_params(arch) == sum(p.numel() for p in net.parameters())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        assert net(torch.zeros(2, *space.input_shape)).shape == (2, 5)
    assert space.macs(arch) == counter.get_total_flops() / (2 * 2)  # two images, two flops a MAC


def test_the_first_place_of_a_stage_of_the_published_widths_cannot_be_skipped() -> None:
    assert [i for i, place in enumerate(SPACE.places) if "skip" not in place.ops] == [0, 4, 8, 12, 16, 20]
    assert [place.side for place in SPACE.places[::4]] == [56, 28, 14, 14, 7, 7]


def test_widths_that_are_alike_are_still_searched_by_their_shapes() -> None:
    """A stage that changes neither channels nor sides can skip all of its places."""
    space = ProxylessNas(stage_widths=(24, 40, 80, 80, 192, 192))
    assert [i for i, place in enumerate(space.places) if "skip" not in place.ops] == [0, 4, 8, 16]
    assert space.size == 6**4 * 7**17


def test_moves_stay_in_the_space() -> None:
    rng = random.Random(0)
    archs = [SPACE.sample(rng) for _ in range(50)]
    for a, b in itertools.pairwise(archs):
        mutant, child = SPACE.mutate(a, rng), SPACE.crossover(a, b, rng)
        assert sum(before != after for before, after in zip(a["blocks"], mutant["blocks"], strict=True)) == 1
        assert all(op in pair for op, *pair in zip(child["blocks"], a["blocks"], b["blocks"], strict=True))
        for arch in (a, mutant, child):
            assert SPACE.decode(SPACE.encode(arch)) == arch


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ({"ops": []}, "expected an object with the field blocks"),
        ({"blocks": ["skip"]}, r"blocks: found \['skip'\], expected 21 choices"),
        ({"blocks": "skip" * 21}, "blocks: found skip.*, expected 21 choices"),
        ({"blocks": ["skip", *GPU["blocks"][1:]]}, "blocks: place 0 is 'skip', expected one of 3x3_MBConv3"),
        ({"blocks": [*GPU["blocks"][:20], "9x9_MBConv3"]}, "blocks: place 20 is '9x9_MBConv3'"),
        ({"blocks": [*GPU["blocks"][:20], [3, 3]]}, r"blocks: place 20 is \[3, 3\]"),
    ],
)
def test_what_is_no_member_is_refused(arch: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        SPACE.encode(arch)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 48}, "48 pixels cannot be halved 5 times"),
        ({"width_mult": 0}, "width_mult: found 0, expected a positive number"),
        ({"width_mult": float("inf")}, "width_mult: found inf"),
        ({"stage_widths": (24, 40)}, r"stage_widths: found \(24, 40\), expected 6 whole numbers"),
        ({"stage_widths": (24, 40, 80, 96, 192, -1)}, "stage_widths: found -1, expected a positive whole number"),
        ({"squeeze_excitation": 0.25}, "squeeze_excitation: found 0.25, expected True or False"),
        ({"activation": "gelu"}, "activation: found 'gelu', expected one of relu6, swish"),
        ({"activation": ["swish", "relu6"]}, r"activation: found \['swish', 'relu6'\], expected one of relu6, swish"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        ProxylessNas(**options)
    with pytest.raises(SpaceError, match="weights: the networks of proxylessnas share none"):
        SPACE.build(GPU, weights={})


def test_it_is_scored() -> None:
    torch.manual_seed(0)
    space = ProxylessNas(**SMALL, squeeze_excitation=True, activation="swish")
    found = score(space.build(GPU).eval(), (torch.randn(16, 3, 32, 32), torch.arange(16) % 5))
    assert found.value > 0 and found.coverage == 1
