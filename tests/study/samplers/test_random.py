"""Random search: every proposal is drawn, none waits for a score."""

from __future__ import annotations

import random

import pytest

from lswag_fast.errors import InputError
from lswag_fast.study.budget import Budget
from lswag_fast.study.candidate_pool import CandidatePool, SpaceExhaustedError
from lswag_fast.study.history import History
from lswag_fast.study.objective import Objective
from lswag_fast.study.samplers import RandomSampler
from lswag_fast.study.study import Study
from study.toy_space import ToySpace


def test_nothing_has_to_be_told_between_batches() -> None:
    study = Study(ToySpace(6, 8), RandomSampler(proposals_per_batch=5), seed=0)
    trials = [study.ask() for _ in range(12)]
    assert [trial.proposal_batch for trial in trials] == [0] * 5 + [1] * 5 + [2] * 2
    assert {trial.origin for trial in trials} == {"random"}


def test_the_size_of_a_batch_changes_no_proposal() -> None:
    drawn = [
        [study.ask().arch_json for _ in range(20)]
        for study in (Study(ToySpace(6, 8), RandomSampler(proposals_per_batch=n), seed=4) for n in (1, 7, 50))
    ]
    assert drawn[0] == drawn[1] == drawn[2]


def test_the_whole_space_is_found_and_then_it_is_used_up() -> None:
    pool = CandidatePool(ToySpace(1, 8), Budget(), random.Random(0))
    sampler, history = RandomSampler(proposals_per_batch=5), History(Objective())
    found = [len(sampler.propose(pool, history, None).proposals) for _ in range(2)]
    assert found == [5, 3]
    with pytest.raises(SpaceExhaustedError):
        sampler.propose(pool, history, None)


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1"):
        RandomSampler(proposals_per_batch=0)
