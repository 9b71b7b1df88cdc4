"""The NAS-Bench-201 space: its strings, moves, costs against the published ones, and which cells are the same."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lswag_fast import score
from lswag_fast.errors import SpaceError
from lswag_fast.spaces import NasBench201, SearchSpace, get
from lswag_fast.spaces.isomorphism import Edge, Kind, canonical_cell
from lswag_fast.spaces.nasbench201.model import EDGES, OPS, Cell, operation
from support.published import published_file

SPACE = NasBench201()
SMALL = NasBench201(channels=4, cells_per_stage=1, image_size=8, num_classes=3)
CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|skip_connect~2|"
ARCH = {"cell": CELL}
KINDS_OF_TERMS: dict[str, Kind] = {
    "none": "nothing",
    "skip_connect": "identity",
    "nor_conv_3x3": "layer",
    "avg_pool_3x3": "function",
}
"""As if nothing were known of pooling."""
Rows = list[dict[str, str]]


@pytest.fixture
def table() -> Callable[[str], Rows]:
    def read(name: str) -> Rows:
        with gzip.open(published_file("nasbench201", name), "rt") as file:
            return list(csv.DictReader(file))

    return read


def arch_of(*ops: str) -> dict[str, Any]:
    return SPACE.decode("|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|".format(*ops))


def test_it_is_a_search_space() -> None:
    assert isinstance(SPACE, SearchSpace)
    assert (SPACE.size, SPACE.input_shape, SPACE.num_classes) == (15625, (3, 32, 32), 10)
    found = get("nasbench201", image_size=16, num_classes=120)
    assert repr(found) == "NasBench201(num_classes=120, image_size=16, channels=16, cells_per_stage=5)"


def test_strings_go_round() -> None:
    assert SPACE.ops(ARCH) == ["nor_conv_3x3", "none", "skip_connect", "avg_pool_3x3", "nor_conv_1x1", "skip_connect"]
    assert SPACE.decode(CELL) == SPACE.decode(SPACE.encode(ARCH)) == ARCH
    assert json.loads(SPACE.encode(ARCH)) == ARCH


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("|none~0|", r"cell: found '\|none~0\|', expected \|op~0\|"),
        (CELL.replace("none", "nor_conv_7x7"), "with op one of none, skip_connect"),
        (CELL.replace("none~0", "none~1"), "cell: found"),
        (CELL + "|", "cell: found"),
        ("{", "not readable as JSON"),
        ('{"cells": 1}', "expected an object with the field cell"),
        ('{"cell": 7}', "cell: found '7'"),
        ("[1]", "expected an object with the field cell"),
    ],
)
def test_what_is_no_architecture_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        SPACE.decode(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 0}, "channels: found 0"),
        ({"num_classes": 2.0}, "num_classes: found 2.0"),
        ({"image_size": 30}, "30 pixels cannot be halved 2 times"),
    ],
)
def test_sizes_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        NasBench201(**options)
    with pytest.raises(SpaceError, match="patch_size: cannot be set for nasbench201"):
        get("nasbench201", patch_size=4)


def test_moves_stay_in_the_space() -> None:
    rng = random.Random(0)
    a, b = SPACE.sample(rng), SPACE.sample(rng)
    for _ in range(50):
        mutant, child = SPACE.mutate(a, rng), SPACE.crossover(a, b, rng)
        changed = [one != two for one, two in zip(SPACE.ops(a), SPACE.ops(mutant), strict=True)]
        assert sum(changed) == 1
        pairs = zip(SPACE.ops(child), SPACE.ops(a), SPACE.ops(b), strict=True)
        assert all(op in parents for op, *parents in pairs)
    assert {op for _ in range(60) for op in SPACE.ops(SPACE.sample(rng))} == set(OPS)


def test_all_published_parameter_counts(table: Callable[[str], Rows]) -> None:
    rows = table("nb201_accuracy.csv.gz")
    assert len({row["arch"] for row in rows}) == SPACE.size
    tasks = (("cifar10", 10, 32), ("cifar100", 100, 32), ("imagenet16", 120, 16))
    for task, num_classes, image_size in tasks:
        space = NasBench201(num_classes=num_classes, image_size=image_size)
        for row in rows:
            assert space.n_params({"cell": row["arch"]}) == round(float(row[f"params_m_{task}"]) * 1e6)


@pytest.mark.parametrize(("task", "num_classes", "image_size"), [("cifar10", 10, 32), ("imagenet16", 120, 16)])
def test_all_published_flops(table: Callable[[str], Rows], task: str, num_classes: int, image_size: int) -> None:
    cells = {row["index"]: row["arch"] for row in table("nb201_accuracy.csv.gz")}
    space = NasBench201(num_classes=num_classes, image_size=image_size)
    for row in table(f"nb201_proxies_suite_{task}.csv.gz"):
        assert space.published_flops({"cell": cells[row["index"]]}) == round(float(row["flops"]) * 1e6)


@pytest.mark.parametrize("space", [SPACE, SMALL], ids=["published", "small"])
def test_costs_equal_the_built_network(space: NasBench201) -> None:
    for seed in range(4):
        arch = space.sample(random.Random(seed))
        net = space.build(arch).eval()
        assert space.n_params(arch) == sum(p.numel() for p in net.parameters())
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            assert net(torch.zeros(2, *space.input_shape)).shape == (2, space.num_classes)
        assert space.macs(arch) == counter.get_total_flops() / (2 * 2)  # two images, two flops a MAC


def test_cells_that_compute_the_same_have_one_key() -> None:
    skip, conv, none = "skip_connect", "nor_conv_3x3", "none"
    same = [
        (conv, none, skip, none, none, skip),
        (none, conv, none, none, none, skip),
        (conv, conv, none, none, skip, none),
    ]
    assert {SPACE.canonical(arch_of(*ops)) for ops in same} == {"nor_conv_3x3(x)"}
    assert SPACE.canonical(arch_of(conv, conv, conv, none, none, none)) == ""
    inner = "nor_conv_1x1(nor_conv_3x3(x))"  # of the convolution that the output reads, too
    assert SPACE.canonical(ARCH) == f"avg_pool_3x3(x)+{inner}+nor_conv_3x3(x);{inner},nor_conv_3x3(x)"


def test_cells_that_pool_terms_or_their_sum_are_the_same_function() -> None:
    """One's convolutions in some order are the other's, in float64; drawn cells that differ in where they pool."""
    ops, rng = ("none", "skip_connect", "nor_conv_3x3", "avg_pool_3x3"), random.Random(0)
    convs = [operation("nor_conv_3x3", 4).double() for _ in range(3)]
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64)

    def outputs(choice: tuple[str, ...]) -> Iterator[torch.Tensor]:
        """Of the cell with its convolutions in every order."""
        for order in itertools.permutations(convs, choice.count("nor_conv_3x3")):
            left = iter(order)
            yield Cell([next(left) if op == "nor_conv_3x3" else operation(op, 4) for op in choice])(x)

    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for _ in range(1500):
        choice = tuple(rng.choices(ops, k=6))
        if choice.count("nor_conv_3x3") <= len(convs):
            edges = [Edge(*place, op, KINDS_OF_TERMS[op]) for place, op in zip(EDGES, choice, strict=True)]
            found.setdefault(SPACE.canonical(arch_of(*choice)), {})[canonical_cell(edges)] = choice
    pairs = [tuple(choices.values())[:2] for choices in found.values() if len(choices) > 1]
    assert len(pairs) > 20
    for one, other in pairs:
        expected = next(outputs(one))
        assert min(float((out - expected).detach().abs().max()) for out in outputs(other)) < 1e-12


def test_networks_of_one_key_are_the_same_function() -> None:
    """Without parameters, so that equal functions give equal numbers."""
    ops = ("none", "skip_connect", "avg_pool_3x3")
    x = torch.randn(1, 4, 6, 6, dtype=torch.float64)
    found: dict[str, torch.Tensor] = {}
    choices = random.Random(0).sample(list(itertools.product(ops, repeat=6)), 200)
    for choice in choices:
        arch = arch_of(*choice)
        out = SMALL.build(arch).blocks[0](x)
        expected = found.setdefault(SPACE.canonical(arch), out)
        torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)  # sums in another order
    assert len(found) < len(choices)


@pytest.mark.slow
def test_the_number_of_different_cells() -> None:
    """The same by comparing every cell with its layers renumbered in all ways, and each pooling with its terms."""
    assert len({SPACE.canonical(arch_of(*choice)) for choice in itertools.product(OPS, repeat=6)}) == 5044


def test_weights_are_not_shared() -> None:
    with pytest.raises(SpaceError, match="weights: the networks of nasbench201 share none"):
        SPACE.build(ARCH, weights={})


def test_it_is_scored() -> None:
    torch.manual_seed(0)
    net = SMALL.build(ARCH).eval()
    batch = torch.randn(12, 3, 8, 8), torch.arange(12) % 3
    assert score(net, batch).value > 0


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    assert repr(NasBench201(num_classes=np.int64(100), image_size=np.int32(16))) == repr(
        NasBench201(num_classes=100, image_size=16)
    )
