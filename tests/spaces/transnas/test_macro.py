"""The macro space: its strings, size and moves."""

from __future__ import annotations

import csv
import gzip
import itertools
import random

import pytest

from lswag_fast.errors import SpaceError
from lswag_fast.spaces import TransNasMacro
from support.published import published_file

SPACE = TransNasMacro()


def test_published_strings_go_round() -> None:
    with gzip.open(published_file("transnas101", "macro_half.csv.gz"), "rt") as file:
        found = [row["arch"] for row in csv.DictReader(file)]
    assert all(SPACE.decode(text) == {"network": text} for text in found)
    assert len(found) == 1627  # a half of the 3,255 that were published


def test_its_size_is_the_published_one() -> None:
    assert SPACE.size == 3256


@pytest.mark.parametrize(
    "digits",
    ["123", "1234123", "1111", "1113", "1112", "2224", "333334", "12345", "0123", ""],
    ids=["short", "long", "plain", "narrow", "large", "four wider", "six smaller", "digit 5", "digit 0", "empty"],
)
def test_what_is_no_skeleton_is_refused(digits: str) -> None:
    with pytest.raises(SpaceError, match=f"network: found '64-{digits}-basic', expected 64-<4 to 6 digits>-basic"):
        SPACE.decode(f"64-{digits}-basic")


def test_moves_stay_in_the_space() -> None:
    rng = random.Random(0)
    archs = [SPACE.sample(rng) for _ in range(100)]
    for a, b in itertools.pairwise(archs):
        mutant, child = SPACE.mutate(a, rng), SPACE.crossover(a, b, rng)
        assert mutant != a
        assert abs(len(SPACE.stages(mutant)) - len(SPACE.stages(a))) <= 1
        for arch in (mutant, child):
            assert SPACE.decode(SPACE.encode(arch)) == arch
        parents = SPACE.stages(a), SPACE.stages(b)
        for place, digit in enumerate(SPACE.stages(child)):
            assert digit in {parent[place] for parent in parents if place < len(parent)}


def test_every_member_is_drawn() -> None:
    rng = random.Random(0)
    assert {len(SPACE.stages(SPACE.sample(rng))) for _ in range(100)} == {4, 5, 6}


def test_parameters_by_hand() -> None:
    """64-1234-basic: a stem, then stages of 64, 128, 128 and 256 channels, of which the last three have shortcuts."""
    stem = 27 * 32 + 2 * 32 + 9 * 32 * 64 + 2 * 64
    blocks = 0
    for in_channels, channels, has_shortcut in ((64, 64, 0), (64, 128, 1), (128, 128, 1), (128, 256, 1)):
        blocks += 9 * in_channels * channels + 3 * 9 * channels**2 + 4 * 2 * channels
        blocks += has_shortcut * (in_channels * channels + 2 * channels)
    assert SPACE.n_params({"network": "64-1234-basic"}) == stem + blocks + 257 * 75
