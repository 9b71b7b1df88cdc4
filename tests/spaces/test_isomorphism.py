"""The text of a cell tells exactly which cells compute the same, whatever their layers' weights are."""

from __future__ import annotations

import itertools
import random

import numpy as np
from numpy.typing import NDArray

from lswag_fast.spaces.isomorphism import Edge, Kind, canonical_cell

PLACES = tuple((node, source) for node in range(1, 4) for source in range(node))
KINDS: dict[str, Kind] = {
    "0": "nothing",
    "1": "identity",
    "2": "function",
    "3": "layer",
    "4": "layer",
    "5": "linear",
}
WEIGHTS = np.array(list(itertools.permutations([0.3, 0.5, 0.7, 1.1, 1.3, 1.7])))  # (720, 6): every way to hand them out


def cell_of(digits: str) -> list[Edge]:
    return [Edge(*place, digit, KINDS[digit]) for place, digit in zip(PLACES, digits, strict=True)]


def computed(digits: str) -> NDArray[np.float64]:
    """What the last node is, for every way to give the six layers one of six weights, in ascending order.

    Two cells have the same numbers if and only if one is the other with its layers' weights exchanged.
    """
    nodes = [np.full(len(WEIGHTS), 0.4)]
    for node in range(1, 4):
        total = np.zeros(len(WEIGHTS))
        for edge, (to, source) in enumerate(PLACES):
            if to == node and (x := nodes[source]).any():
                layer = np.sin(x * WEIGHTS[:, edge] + int(digits[edge]))
                total = total + {"0": 0 * x, "1": x, "2": np.cos(x), "5": 0.6 * x}.get(digits[edge], layer)
        nodes.append(total)
    return np.sort(nodes[-1])


def test_cells_have_one_text_if_and_only_if_they_compute_the_same() -> None:
    rng = random.Random(0)
    cells = ["".join(rng.choices("012345", k=6)) for _ in range(600)]
    by_text: dict[str, set[bytes]] = {}
    for cell in cells:
        by_text.setdefault(canonical_cell(cell_of(cell)), set()).add(computed(cell).round(9).tobytes())
    assert all(len(found) == 1 for found in by_text.values())
    assert len(set.union(*by_text.values())) == len(by_text) < len(set(cells))


def test_a_layer_read_twice_is_not_two_layers() -> None:
    assert canonical_cell(cell_of("301011")) == "3(x)+3(x);3(x)"
    assert canonical_cell(cell_of("300310")) == "3(x)+3(x)"


def test_a_linear_function_of_a_sum_is_the_sum_of_that_function() -> None:
    assert canonical_cell(cell_of("311005")) == canonical_cell(cell_of("300550")) == "5(3(x)+x)"
    assert canonical_cell(cell_of("211002")) != canonical_cell(cell_of("200220"))  # of one that is not linear


def test_which_of_two_layers_a_linear_function_reads_is_told() -> None:
    assert canonical_cell(cell_of("331015")) == "3(x)+5(3(x)+3(x));3(x),3(x)"
    assert canonical_cell(cell_of("301355")) == "3(x)+5(3(x)+3(x);3(x))"


def test_nothing_reaches_the_output() -> None:
    assert canonical_cell(cell_of("333000")) == ""
