"""The state of chance comes back, however often the generator renewed its words, and damage is refused."""

from __future__ import annotations

import base64
import random
from typing import Any

import pytest

from lswag_fast.study.storage.chance import MOST_RENEWALS, RANDOM_WORDS, Chance


def same_future(one: random.Random, other: random.Random) -> bool:
    return [one.gauss(0, 1) for _ in range(3)] == [other.gauss(0, 1) for _ in range(3)]


@pytest.mark.parametrize("n_draws", [0, 1, RANDOM_WORDS - 1, RANDOM_WORDS, RANDOM_WORDS + 1, 10 * RANDOM_WORDS])
def test_a_generator_comes_back_by_the_words_it_once_had(n_draws: int) -> None:
    rng = random.Random(3)
    rng.gauss(0, 1)  # leaves a number over
    before = rng.getstate()
    chance = Chance.of(before)
    for _ in range(n_draws):
        rng.getrandbits(32)
    advanced = chance.advanced(before, rng.getstate())
    assert advanced.words == chance.words
    # A number that gauss leaves over takes two draws of two words each; a new generator has used all its words.
    assert advanced.n_renewals == (4 + n_draws - 1) // RANDOM_WORDS
    assert same_future(advanced.generator(), rng)


def test_many_steps_count_together_until_the_words_are_written_again() -> None:
    rng = random.Random(4)
    before = rng.getstate()
    chance = Chance.of(before)
    n_written = 0
    for _ in range(2 * MOST_RENEWALS):
        rng.getrandbits(32 * RANDOM_WORDS)
        chance, words = chance.advanced(before, rng.getstate()), chance.words
        before = rng.getstate()
        n_written += chance.words != words
    assert n_written == 1
    assert same_future(chance.generator(), rng)


def test_another_generator_has_words_of_its_own() -> None:
    before, after = random.Random(1).getstate(), random.Random(2).getstate()
    assert Chance.of(before).advanced(before, after) == Chance.of(after)


GOOD = Chance.of(random.Random(0).getstate())


@pytest.mark.parametrize(
    "damage",
    [
        {"words": "AAAA"},
        {"words": "\u00e9"},
        {"words": base64.b64encode(bytes(4 * RANDOM_WORDS + 4)).decode()},
        {"n_renewals": -1},
        {"n_renewals": MOST_RENEWALS + 1},
        {"n_renewals": 1.0},
        {"place": RANDOM_WORDS + 1},
        {"place": "1"},
        {"gauss": "1"},
        {"gauss": float("nan")},
    ],
)
def test_damage_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        GOOD._replace(**damage).generator()
