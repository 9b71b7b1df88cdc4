"""Supernets: one path is the network of the space, costs are those of what is built, and dead edges are refused."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lswag_fast.errors import SpaceError
from lswag_fast.spaces import AutoFormer, Darts, NasBench201, Supernets
from lswag_fast.spaces.supernets import check_alive, without

SPACES: dict[str, Any] = {
    "nasbench201": NasBench201(channels=4, cells_per_stage=1, image_size=8),
    "darts": Darts(channels=4, n_cells=3, image_size=8),
}


def some_alive(space: Any) -> dict[str, list[str]]:
    rng = random.Random(0)
    return {edge: [op for op in ops if rng.random() < 0.5] or [ops[0]] for edge, ops in space.edges.items()}


def left_path(space: Any, rng: random.Random) -> dict[str, list[str]]:
    """What is left when one of each group leaves at random, again and again."""
    alive = {edge: list(ops) for edge, ops in space.edges.items()}
    while groups := space.removals(alive):
        alive = without(alive, *(rng.choice(group) for group in groups))
    return alive


@pytest.mark.parametrize("name", SPACES)
def test_the_path_that_is_left_computes_what_its_architecture_does(name: str) -> None:
    space = SPACES[name]
    alive = left_path(space, random.Random(1))
    arch = space.path(alive)
    supernet, network = space.supernet(alive).eval(), space.build(arch).eval()
    pairs = zip(network.parameters(), supernet.parameters(), strict=True)  # in the same order, edge by edge
    with torch.no_grad():
        for own, other in pairs:
            own.copy_(other)
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(supernet(x), network(x))
    assert space.supernet_costs(alive) == (space.n_params(arch), space.macs(arch))


@pytest.mark.parametrize("name", SPACES)
def test_costs_are_those_of_the_supernet(name: str) -> None:
    space = SPACES[name]
    alive = some_alive(space)
    supernet = space.supernet(alive).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        supernet(torch.zeros(1, *space.input_shape))
    n_params = sum(parameter.numel() for parameter in supernet.parameters())
    assert space.supernet_costs(alive) == (n_params, counter.get_total_flops() // 2)


def test_the_weights_of_an_operation_do_not_depend_on_the_others() -> None:
    space, alive = SPACES["nasbench201"], some_alive(SPACES["nasbench201"])
    weights = []
    for ops in (["nor_conv_3x3"], ["none", "nor_conv_1x1", "nor_conv_3x3"]):
        torch.manual_seed(3)
        net = space.supernet({**alive, "0->1": ops})
        weights.append((net.blocks[0].edges[0].ops[-1][1].weight, net.classifier.weight))
    for one, other in zip(*weights, strict=True):
        assert torch.equal(one, other)


def test_a_dead_edge_is_named() -> None:
    for name, edge in (("nasbench201", "1->3"), ("darts", "reduce 0->4")):
        alive = {**SPACES[name].edges, edge: []}
        for refuse in (SPACES[name].supernet, SPACES[name].removals, SPACES[name].supernet_costs):
            with pytest.raises(SpaceError, match=f"the edge '{edge}' is dead; leave at least one of"):
                refuse(alive)


def test_what_is_no_supernet_is_refused() -> None:
    edges = {"a": ("x", "y")}
    for alive, message in (
        ([], r"found '\[\]', expected the operations of each edge"),
        ({"b": ["x"]}, "there is no edge 'b'; the edges are a"),
        ({"a": ["z"]}, "on the edge 'a', expected some of x, y"),
        ({"a": ["y", "x"]}, "on the edge 'a', expected some of x, y"),
        ({"a": "x"}, "on the edge 'a', expected some of x, y"),
    ):
        with pytest.raises(SpaceError, match=message):
            check_alive(edges, alive)  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match="several operations"):
        SPACES["nasbench201"].path(SPACES["nasbench201"].edges)


def test_text_goes_round_and_other_spaces_are_refused() -> None:
    space = Supernets(SPACES["darts"])
    supernet, arch = {"alive": some_alive(SPACES["darts"])}, space.sample(random.Random(0))
    for either in (supernet, arch):
        assert space.decode(space.encode(either)) == either
    assert repr(space) == repr(SPACES["darts"]) and space.n_params(arch) == SPACES["darts"].n_params(arch)
    with pytest.raises(SpaceError, match="the edge 'normal 0->2' is dead"):
        space.decode('{"alive":{"normal 0->2":[]}}')
    with pytest.raises(SpaceError, match="autoformer-tiny offers no supernets to prune"):
        Supernets(AutoFormer("tiny"))
