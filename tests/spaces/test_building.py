"""Which weights the networks of a space get."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from lswag_fast.errors import NetworkFailedError, SpaceError
from lswag_fast.spaces import AutoFormer, NasBench201
from lswag_fast.spaces.building import build_network, network_builder

CHOICES: dict[str, Any] = {"embed_dim": (16, 32), "depth": (1, 2), "num_heads": (1, 2), "mlp_ratio": (1, 2)}
SHARING = AutoFormer(**CHOICES, image_size=8, patch_size=4, num_classes=3)
SMALL, LARGE = ({"depth": 1, "embed_dim": width, "num_heads": [1], "mlp_ratio": [1]} for width in CHOICES["embed_dim"])
CELL = {"cell": "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|nor_conv_1x1~1|none~2|"}


def head(model: nn.Module) -> torch.Tensor:
    return dict(model.named_parameters())["head.weight"]


def test_shared_weights_are_drawn_once_from_the_seed() -> None:
    build = network_builder(SHARING, seed=3)
    assert torch.equal(head(build(SMALL)), head(build(LARGE))[:, :16])
    assert torch.equal(head(build(LARGE)), head(SHARING.build(LARGE, SHARING.init_weights(3))))


def test_given_weights_are_cut() -> None:
    weights = SHARING.init_weights(5)
    assert torch.equal(head(network_builder(SHARING, weights)(SMALL)), head(SHARING.build(SMALL, weights)))


@pytest.mark.parametrize("weights", ["fresh", None])
def test_where_nothing_is_shared_each_network_is_drawn_from_the_same_seed(weights: Any) -> None:
    space = NasBench201(channels=4, cells_per_stage=1)
    build = network_builder(space, weights, seed=3)
    state = torch.get_rng_state()
    a, b = (list(build(CELL).parameters()) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        expected = list(space.build(CELL).parameters())
    assert all(torch.equal(x, y) and torch.equal(x, z) for x, y, z in zip(a, b, expected, strict=True))


def test_fresh_weights_are_not_those_that_a_space_shares() -> None:
    assert not torch.equal(head(network_builder(SHARING, "fresh")(LARGE)), head(network_builder(SHARING)(LARGE)))


class Own:
    """A space of which only `build` counts."""

    name = "own"

    def __init__(self, result: Any) -> None:
        self.result = result

    def build(self, arch: Any, weights: Any = None) -> Any:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


BUILDS: dict[str, Any] = {
    "as it is": lambda space: build_network(space, {"n": 1}),
    "with weights": lambda space: build_network(space, {"n": 1}, {}),
    "of a search": lambda space: network_builder(space)({"n": 1}),
    "of a search, with weights": lambda space: network_builder(space, {})({"n": 1}),
}


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_a_build_that_fails_is_one_line_with_the_place(build: Any) -> None:
    failing = r"own: build of \{'n': 1\} failed: RuntimeError: the stem is too wide \(test_building\.py, line \d+\)$"
    with pytest.raises(NetworkFailedError, match=failing) as caught:
        build(Own(RuntimeError("the stem\n  is too wide")))
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(
        NetworkFailedError, match=r"own: build of .* returned NoneType; it must return a torch\.nn\.Module"
    ):
        build(Own(None))
    with pytest.raises(SpaceError, match=r"^no member$"):
        build(Own(SpaceError("no member")))
    with pytest.raises(NetworkFailedError, match=r"failed: StopIteration \("):  # of a next() without more
        build(Own(StopIteration()))
