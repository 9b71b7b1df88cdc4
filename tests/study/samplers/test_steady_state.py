"""The steady-state search: who is a member, who is replaced, and what is refused."""

from __future__ import annotations

import random

import pytest

from lswag_fast.errors import InputError
from lswag_fast.study.budget import Budget
from lswag_fast.study.candidate_pool import CandidatePool
from lswag_fast.study.samplers import SteadyStateSampler
from lswag_fast.study.study import Study
from study.toy_space import ToySpace


class RecordingSpace(ToySpace):
    """Remembers who the parents were."""

    def __init__(self) -> None:
        super().__init__(8, 8)
        self.parents: list[str] = []

    def mutate(self, arch: dict, rng: random.Random) -> dict:
        self.parents.append(self.encode(arch))
        return super().mutate(arch, rng)


def told(study: Study, scores: list[float | None]) -> None:
    for score in scores:
        trial = study.ask()
        study.tell(trial, score) if score is not None else study.tell(trial, error="no")


def test_a_better_child_takes_the_place_of_the_worst_member_and_a_worse_one_does_not() -> None:
    space = RecordingSpace()
    study = Study(space, SteadyStateSampler(population=3), seed=1)
    told(study, [1.0, 5.0, 3.0, 4.0, 2.0])  # of the children, 4 replaces 1 and 2 replaces nobody
    space.parents.clear()
    told(study, [0.0] * 60)
    members = {trial.arch_json for trial in study.trials if trial.score in (5.0, 3.0, 4.0)}
    # Sixty draws among three with a fixed seed: all three appear, and nobody else.
    assert set(space.parents) == members


def test_a_failed_trial_is_never_a_member() -> None:
    space = RecordingSpace()
    study = Study(space, SteadyStateSampler(population=3), seed=2)
    told(study, [1.0, None, 2.0])
    told(study, [None] * 40)
    members = {trial.arch_json for trial in study.trials if trial.score is not None}
    assert set(space.parents) == members
    assert len(members) == 2


def test_children_of_one_batch_come_from_one_state() -> None:
    sampler = SteadyStateSampler(population=4, proposals_per_batch=3)
    study = Study(ToySpace(8, 8), sampler, seed=3)
    assert [study.ask().proposal_batch for _ in range(4)] == [0] * 4
    pool = CandidatePool(ToySpace(8, 8), Budget(), random.Random(0))
    assert len(sampler.propose(pool, study._history, None).proposals) == 4


@pytest.mark.parametrize("sizes", [{"population": 0}, {"proposals_per_batch": 0}])
def test_empty_sizes_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(InputError, match="must be at least 1"):
        SteadyStateSampler(**sizes)
