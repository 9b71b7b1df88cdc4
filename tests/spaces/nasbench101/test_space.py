"""The NAS-Bench-101 space: its text, moves, size, and costs against the published ones."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lswag_fast import score
from lswag_fast.errors import SpaceError
from lswag_fast.spaces import NasBench101, SearchSpace, get
from lswag_fast.spaces.nasbench101.cell import OPS, Cell
from support.published import published_file

SPACE = NasBench101()
SMALL = NasBench101(channels=8, cells_per_stack=2, image_size=8, num_classes=3)
EDGES = ["0111010", "0000001", "0000001", "0000100", "0000001", "0000001", "0000000"]
INCEPTION = {
    "matrix": [[int(bit) for bit in row] for row in EDGES],
    "ops": ["input", "conv1x1-bn-relu", *["conv3x3-bn-relu"] * 3, "maxpool3x3", "output"],
}


def published(step: int) -> Iterator[tuple[dict[str, Any], int]]:
    """Every so many of the published architectures, with their parameters."""
    data = np.load(published_file("nasbench101", "nb101_60000.npz"))
    columns = (data[name][::step] for name in ("n_vertices", "edge_bits", "ops", "params"))
    for n_vertices, bits, ops, params in zip(*columns, strict=True):
        names = [OPS[op] for op in ops[: n_vertices - 2]]
        matrix = Cell.from_bits(int(bits), names).matrix()
        yield {"matrix": matrix, "ops": ["input", *names, "output"]}, int(params)


def test_it_is_a_search_space() -> None:
    assert isinstance(SPACE, SearchSpace)
    assert (SPACE.input_shape, SPACE.num_classes) == ((3, 32, 32), 10)
    found = get("nasbench101", image_size=16, num_classes=120)
    assert repr(found) == "NasBench101(num_classes=120, image_size=16, channels=128, cells_per_stack=3)"
    with pytest.raises(SpaceError, match="30 pixels cannot be halved 2 times"):
        NasBench101(image_size=30)
    with pytest.raises(SpaceError, match="channels: found 0"):
        NasBench101(channels=0)


def test_its_size_is_the_number_of_pruned_graphs_with_operations() -> None:
    """Graphs of up to seven vertices in which all but the ends read and are read, of at most nine edges."""
    size = 0
    for n in range(2, 8):
        bits = np.arange(1 << n * (n - 1) // 2)
        sources = [bits >> y * (y - 1) // 2 & (1 << y) - 1 for y in range(n)]
        reads = np.logical_and.reduce([mask > 0 for mask in sources[1:]])
        is_read = np.logical_and.reduce([np.bitwise_or.reduce(sources) >> x & 1 == 1 for x in range(n - 1)])
        n_edges = sum(bits >> edge & 1 for edge in range(n * (n - 1) // 2))
        size += int((reads & is_read & (n_edges <= 9)).sum()) * 3 ** (n - 2)
    assert SPACE.size == size


def test_text_goes_round_and_is_pruned() -> None:
    assert SPACE.decode(SPACE.encode(INCEPTION)) == json.loads(SPACE.encode(INCEPTION)) == INCEPTION
    unread = {"matrix": [[0, 1, 1], [0, 0, 0], [0, 0, 0]], "ops": ["input", "maxpool3x3", "output"]}
    plain = {"matrix": [[0, 1], [0, 0]], "ops": ["input", "output"]}
    assert SPACE.decode(json.dumps(unread)) == plain
    for value in (SPACE.encode, SPACE.n_params, SPACE.macs, SPACE.canonical):
        assert value(unread) == value(plain)


@pytest.mark.parametrize("text", ["{", '{"matrix": []}', "[1]", '"x"', '{"ops": ["input", "output"], "matrix": {}}'])
def test_what_is_no_architecture_is_refused(text: str) -> None:
    with pytest.raises(SpaceError, match=r"not readable as JSON|expected an object with the fields|matrix: expected"):
        SPACE.decode(text)


def test_as_many_channels_as_vertices_can_share_are_enough_and_fewer_are_refused() -> None:
    ends = [1, 1, 1, 1]  # nine edges: the input to four vertices, those to the output, and the input to it
    matrix = [[0, *ends, 1], *([0] * 5 + [1] for _ in ends), [0] * 6]
    arch = {"matrix": matrix, "ops": ["input", *["conv3x3-bn-relu"] * 4, "output"]}
    space = NasBench101(channels=4, cells_per_stack=1, image_size=8)
    assert space.n_params(arch) == sum(p.numel() for p in space.build(arch).parameters())
    with pytest.raises(SpaceError, match="channels: found 3, expected at least 4"):
        NasBench101(channels=3)


def test_moves_stay_in_the_space() -> None:
    rng = random.Random(0)
    archs = [SPACE.sample(rng) for _ in range(100)]
    for a, b in itertools.pairwise(archs):
        mutant, child = SPACE.mutate(a, rng), SPACE.crossover(a, b, rng)
        assert mutant != a
        for arch in (a, mutant, child):
            assert SPACE.decode(SPACE.encode(arch)) == arch


def test_moves_reach_every_number_of_vertices_and_operation() -> None:
    rng = random.Random(0)
    arch: dict[str, Any] = {"matrix": [[0, 1], [0, 0]], "ops": ["input", "output"]}
    sizes, ops = set(), set()
    for _ in range(300):
        arch = SPACE.mutate(arch, rng)
        sizes.add(len(arch["ops"]))
        ops.update(arch["ops"])
    assert sizes >= {3, 4, 5, 6, 7}
    assert ops == {"input", *OPS, "output"}


def test_a_child_of_equal_full_parents_is_their_copy() -> None:
    assert SPACE.crossover(INCEPTION, INCEPTION, random.Random(0)) == INCEPTION


def test_published_parameters_in_closed_form() -> None:
    """Three thousand of the rows; the cell of the benchmark's own example is 2,694,282."""
    assert SPACE.n_params(INCEPTION) == 2_694_282
    for arch, params in published(step=20):
        assert SPACE.n_params(arch) == params


@pytest.mark.slow
def test_all_published_parameters() -> None:
    """Each of the 60,000 rows, exactly."""
    rows = [(SPACE.n_params(arch), params) for arch, params in published(step=1)]
    assert len(rows) == 60_000
    assert [row for row in rows if row[0] != row[1]] == []


def test_published_parameters_of_built_networks() -> None:
    for arch, params in published(step=1500):
        with torch.device("meta"):
            assert sum(p.numel() for p in SPACE.build(arch).parameters()) == params


@pytest.mark.parametrize("seed", range(6))
def test_costs_equal_the_built_network(seed: int) -> None:
    arch = SMALL.sample(random.Random(seed)) if seed else INCEPTION
    net = SMALL.build(arch).eval()
    assert SMALL.n_params(arch) == sum(p.numel() for p in net.parameters())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        assert net(torch.zeros(2, *SMALL.input_shape)).shape == (2, 3)
    assert SMALL.macs(arch) == counter.get_total_flops() / (2 * 2)  # two images, two flops a MAC


def test_weights_are_not_shared() -> None:
    with pytest.raises(SpaceError, match="weights: the networks of nasbench101 share none"):
        SPACE.build(INCEPTION, weights={})


def test_it_is_scored() -> None:
    torch.manual_seed(0)
    batch = torch.randn(12, 3, 8, 8), torch.arange(12) % 3
    found = score(SMALL.build(INCEPTION).eval(), batch)
    assert found.value > 0 and found.coverage == 1
