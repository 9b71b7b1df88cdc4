"""The global generators, seeded and put back together."""

from __future__ import annotations

import random

import numpy as np
import torch

from lswag_fast.random_state import RandomState, seed_all


def drawn() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_a_state_gives_the_same_numbers_again() -> None:
    state = RandomState()
    first = drawn()
    assert drawn() != first
    state.restore()
    assert drawn() == first


def test_a_seed_sets_all_generators_and_may_have_64_bits() -> None:
    before = RandomState()
    seed_all(2**64 - 1)
    first = drawn()
    seed_all(2**64 - 1)
    assert drawn() == first
    before.restore()
