"""The state of a random generator in few bytes.

The Mersenne twister has 624 words, which it renews when all of them were used: after every fifth proposal or so. How
often it did so since the words were last written says the same as the words.
"""

from __future__ import annotations

import base64
import math
import random
import sys
from array import array
from typing import NamedTuple

RANDOM_WORDS = 624
"""Of the Mersenne twister."""
MOST_RENEWALS = 1024
"""Before the words are written again: renewing takes 5 microseconds, the words 3 kB."""

_VERSION = 3
_WORD_BITS = 32

State = tuple[int, tuple[int, ...], "float | None"]
"""As `random.Random.getstate` gives it: the words with the place in them at their end."""


class Chance(NamedTuple):
    """Where a random generator stands.

    Attributes:
        words: those it once had, in base64.
        n_renewals: how often it renewed them since.
        place: of the word that is next; `RANDOM_WORDS` where they must be renewed first.
        gauss: a number that `random.gauss` has left over.
    """

    words: str
    n_renewals: int
    place: int
    gauss: float | None

    @classmethod
    def of(cls, state: State) -> Chance:
        """Return where a generator of this state stands, by its own words."""
        _, words, gauss = state
        packed = array("I", words[:-1])
        if sys.byteorder == "big":
            packed.byteswap()
        return cls(base64.b64encode(packed.tobytes()).decode(), 0, words[-1], gauss)

    def advanced(self, before: State, state: State) -> Chance:
        """Return where the generator stands now, by the same words as long as they are near.

        Args:
            before: its state where `self` says.
            state: its state now.
        """
        n_renewals = _n_renewals(before, state, MOST_RENEWALS - self.n_renewals)
        if n_renewals is None:
            return Chance.of(state)
        return self._replace(n_renewals=self.n_renewals + n_renewals, place=state[1][-1], gauss=state[2])

    def generator(self) -> random.Random:
        """Return the generator. Raises ValueError or TypeError where what was stored is damaged."""
        words = array("I", base64.b64decode(self.words, validate=True))
        if sys.byteorder == "big":
            words.byteswap()
        if len(words) != RANDOM_WORDS or not (
            self.gauss is None or (type(self.gauss) in (int, float) and math.isfinite(self.gauss))
        ):
            raise ValueError("the state of the random generator is damaged")
        if type(self.n_renewals) is not int or not 0 <= self.n_renewals <= MOST_RENEWALS:
            raise ValueError("the random generator has renewed its words a number of times that is none")
        rng = random.Random()
        rng.setstate((_VERSION, (*words, RANDOM_WORDS), None))
        for _ in range(self.n_renewals):
            rng.getrandbits(RANDOM_WORDS * _WORD_BITS)
        rng.setstate((_VERSION, (*rng.getstate()[1][:-1], self.place), self.gauss))
        return rng


def _n_renewals(before: State, state: State, most: int) -> int | None:
    """How often a generator renewed its words between two states; None where it was more often than `most`."""
    wanted = state[1][:-1]
    found = before[1][:-1]
    if found == wanted:
        return 0
    rng = random.Random()
    rng.setstate((_VERSION, (*found, RANDOM_WORDS), None))
    for n_renewals in range(1, most + 1):
        rng.getrandbits(RANDOM_WORDS * _WORD_BITS)
        if rng.getstate()[1][:-1] == wanted:
            return n_renewals
    return None
