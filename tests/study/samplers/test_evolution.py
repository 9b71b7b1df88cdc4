import random

import pytest

from lswag_fast.errors import InputError
from lswag_fast.study.budget import Budget
from lswag_fast.study.candidate_pool import CandidatePool, SpaceExhaustedError
from lswag_fast.study.history import History
from lswag_fast.study.objective import Objective
from lswag_fast.study.samplers import EvolutionSampler
from lswag_fast.study.study import Study
from study.toy_space import ToySpace


class RecordingSpace(ToySpace):
    """Remembers who the parents were."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.mutated, self.crossed = [], []

    def mutate(self, arch, rng):
        self.mutated.append(self.encode(arch))
        return super().mutate(arch, rng)

    def crossover(self, a, b, rng):
        self.crossed += [self.encode(a), self.encode(b)]
        return super().crossover(a, b, rng)


def score(arch):
    return float(sum(arch["widths"]))


def run(study, n_trials):
    for _ in range(n_trials):
        trial = study.ask()
        study.tell(trial, score(trial.arch))


def test_first_batch_is_random_and_later_ones_are_as_published():
    study = Study(ToySpace(8, 8))
    run(study, 150)
    for batch, origins in enumerate([{"random": 50}, {"mutation": 25, "crossover": 25}]):
        trials = [trial for trial in study.trials if trial.proposal_batch == batch]
        assert {o: sum(t.origin == o for t in trials) for o in {t.origin for t in trials}} == origins


def test_parents_are_exactly_the_ten_best_of_the_whole_run():
    space = RecordingSpace(8, 8)
    study = Study(space, seed=3)
    run(study, 100)
    space.mutated.clear(), space.crossed.clear()
    best = {trial.arch_json for trial in study.top(10)}
    study.ask()
    # Each is drawn at least 25 times from ten with fixed seed: all ten appear, and nobody else.
    assert set(space.mutated) | set(space.crossed) == best
    assert set(space.crossed) <= best


def test_parents_may_come_from_an_earlier_batch():
    sampler = EvolutionSampler(population=2, parents=1, mutations=1, crossovers=0)
    space = RecordingSpace(4, 8)
    study = Study(space, sampler)
    first = study.ask()
    study.tell(first, 100.0)
    for _ in range(5):
        study.tell(study.ask(), 1.0)
    space.mutated.clear()
    study.ask()
    assert set(space.mutated) == {first.arch_json}


def test_failed_trials_are_no_parents():
    space = RecordingSpace(4, 8)
    study = Study(space, EvolutionSampler(population=4, parents=4, mutations=2, crossovers=2))
    failed = study.ask()
    study.tell(failed, error="broken")
    for _ in range(3):
        study.tell(study.ask(), 1.0)
    study.ask()
    assert space.mutated
    assert failed.arch_json not in space.mutated + space.crossed


def test_without_a_score_the_next_batch_is_random_again():
    study = Study(ToySpace(), EvolutionSampler(population=3, parents=1, mutations=1, crossovers=1))
    for _ in range(3):
        study.tell(study.ask(), error="broken")
    assert (study.ask().origin, study.trials[-1].proposal_batch) == ("random", 1)


def test_random_fills_what_children_cannot():
    # Mutation and crossover of this space give the parent back, so no child is new.
    class Sterile(ToySpace):
        def mutate(self, arch, rng):
            return arch

        def crossover(self, a, b, rng):
            return a

    study = Study(Sterile(8, 8))
    run(study, 100)
    assert {trial.origin for trial in study.trials} == {"random"}
    assert [trial.proposal_batch for trial in study.trials] == [0] * 50 + [1] * 50


@pytest.mark.parametrize("sampler", ["random", "evolution"])
def test_no_duplicates_and_then_exhausted(sampler):
    study = Study(ToySpace(n_genes=2, max_width=4), sampler)
    with pytest.raises(SpaceExhaustedError):
        run(study, 1000)
    codes = [trial.arch_json for trial in study.trials]
    assert len(codes) == len(set(codes)) == 16


@pytest.mark.parametrize("sampler", ["random", "evolution"])
def test_the_budget_holds_for_every_proposal(sampler):
    study = Study(ToySpace(6, 8), sampler, budget=Budget(params="60..90"))
    run(study, 200)
    assert all(60 <= trial.n_params <= 90 for trial in study.trials)


def test_evolution_beats_random_by_far():
    best = {}
    for sampler in ("random", "evolution"):
        study = Study(ToySpace(n_genes=16, max_width=8), sampler, seed=1)
        run(study, 500)
        best[sampler] = study.best.score
    # The optimum is 16 x 8 = 128; the mean of a random architecture is 72, its standard deviation 9.2.
    assert best["evolution"] >= 115
    assert best["random"] <= 105


@pytest.mark.parametrize(
    "sizes", [{"population": 0}, {"parents": 0}, {"mutations": -1}, {"population": 10}, {"crossovers": 26}]
)
def test_sizes_that_make_no_batch_are_refused(sizes):
    with pytest.raises(InputError):
        EvolutionSampler(**sizes)


def test_a_short_last_batch_when_the_space_runs_out():
    pool = CandidatePool(ToySpace(1, 8), Budget(), random.Random(0))
    assert len(EvolutionSampler().propose(pool, History(Objective()), None).proposals) == 8
