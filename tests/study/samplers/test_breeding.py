"""Children and random fillers: bounded attempts, new architectures only."""

from __future__ import annotations

import random
from typing import Any

from lswag_fast.study.budget import Budget
from lswag_fast.study.candidate_pool import CandidatePool
from lswag_fast.study.samplers.breeding import ATTEMPTS_PER_CHILD, children, cross, crosses, filled, mutant
from lswag_fast.study.samplers.protocol import Proposal
from study.toy_space import ToySpace


def pool(space: ToySpace | None = None) -> CandidatePool:
    return CandidatePool(space or ToySpace(6, 8), Budget(), random.Random(0))


def test_children_that_were_proposed_before_are_drawn_again_a_bounded_number_of_times() -> None:
    attempts: list[Any] = []

    def always_the_same() -> Any:
        attempts.append(None)
        return {"widths": [1] * 6}

    assert len(list(children(pool(), 4, always_the_same))) == 1
    assert len(attempts) == 4 * ATTEMPTS_PER_CHILD


def test_no_more_children_are_made_than_wanted() -> None:
    source = pool()
    made = list(children(source, 3, lambda: source.space.sample(source.rng)))
    assert len({candidate.arch_json for candidate in made}) == 3


def test_crossovers_of_parents_that_are_alike_are_mutated_after_some_failures() -> None:
    class Counting(ToySpace):
        crossed = mutated = 0

        def crossover(self, a: Any, b: Any, rng: random.Random) -> Any:
            self.crossed += 1
            return super().crossover(a, b, rng)

        def mutate(self, arch: Any, rng: random.Random) -> Any:
            self.mutated += 1
            return super().mutate(arch, rng)

    def made(most_failures: int) -> tuple[int, Counting]:
        space = Counting(6, 8)
        source, parents = pool(space), [{"widths": [1] * 6}]
        source.claim(parents[0])  # their only crossover is known
        return len(list(crosses(source, 4, parents, most_failures))), space

    n_found, space = made(0)
    assert (n_found, space.crossed, space.mutated) == (0, 4 * ATTEMPTS_PER_CHILD, 0)
    n_found, space = made(2)
    assert n_found == 4
    assert space.mutated >= 4
    assert space.crossed >= space.mutated + 4 * 2  # the first two after each success are left as they are


def test_parents_stay_as_they_were() -> None:
    source, parents = pool(), [{"widths": [1] * 6}, {"widths": [8] * 6}]
    crossed = cross(source, parents)
    mutant(source, parents)
    assert set(crossed["widths"]) <= {1, 8}
    assert parents == [{"widths": [1] * 6}, {"widths": [8] * 6}]


def test_a_batch_is_filled_up_at_random_and_shorter_only_when_the_space_runs_out() -> None:
    source = pool(ToySpace(1, 4))
    first = Proposal(source.draw(), "mutation")
    assert [p.origin for p in filled(source, [first], 3)] == ["mutation", "random", "random"]
    assert [p.origin for p in filled(source, [first], 3)] == ["mutation", "random"]
