"""Samplers: which architectures to try next. A sampler holds no state; chance and memory live in the pool."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from lswag_fast.driver.pool import Pool, SpaceExhaustedError
from lswag_fast.driver.trial import Trial, ranked
from lswag_fast.errors import InputError


@dataclass(frozen=True)
class Proposal:
    """An architecture to try, how it came about, and the generation it belongs to (from 0)."""

    arch: Any
    origin: str
    generation: int


class Sampler(Protocol):
    """What a study asks of a sampler. `name` is recorded with the results."""

    name: ClassVar[str]

    def propose(self, pool: Pool, trials: Sequence[Trial]) -> list[Proposal]:
        """Return the next proposals, at least one.

        Args:
            pool: where new architectures inside the budget come from.
            trials: all trials so far, in order of their numbers.

        Raises:
            SpaceExhaustedError: the pool gives no new architecture.
            BudgetError: no architecture meets the budget.
        """


@dataclass(frozen=True)
class RandomSampler:
    """Draws every architecture at random from the space."""

    name: ClassVar[str] = "random"

    def propose(self, pool: Pool, trials: Sequence[Trial]) -> list[Proposal]:
        """Return one random architecture."""
        return [Proposal(pool.draw(), "random", 0)]


@dataclass(frozen=True)
class EvolutionSampler:
    """The evolutionary search of AutoFormer (Chen et al., ICCV 2021).

    The first generation is random. Each later one is mutations, then crossovers of the best trials of the whole run so
    far, filled up with random architectures. The mutation probabilities (0.2 a layer, 0.4 for depth and width) belong
    to the space's `mutate`.

    Deviation from the published script: it redraws the parents of a crossover until their depths agree (at most 50
    times); here two parents are drawn once and the space's `crossover` joins any two architectures.

    Attributes:
        population: proposals a generation.
        parents: how many of the best trials are parents.
        mutations: proposals a generation made by `space.mutate` of one parent.
        crossovers: proposals a generation made by `space.crossover` of two parents.
    """

    name: ClassVar[str] = "evolution"
    population: int = 50
    parents: int = 10
    mutations: int = 25
    crossovers: int = 25
    # Attempts a wanted child before random architectures take its place, as in the published script.
    attempts_per_child: ClassVar[int] = 10

    def __post_init__(self) -> None:
        """Refuse sizes that make no generation (InputError)."""
        if min(self.population, self.parents) < 1 or min(self.mutations, self.crossovers) < 0:
            raise InputError(f"population and parents must be at least 1, children at least 0; found {self}")
        if self.mutations + self.crossovers > self.population:
            raise InputError(f"mutations and crossovers together must fit in the population; found {self}")

    def propose(self, pool: Pool, trials: Sequence[Trial]) -> list[Proposal]:
        """Return one generation; shorter than the population only when the space runs out."""
        generation = trials[-1].generation + 1 if trials else 0
        parents = [trial.arch for trial in ranked(trials)[: self.parents]]
        proposals: list[Proposal] = []
        if parents:
            mutants = self._children(pool, self.mutations, lambda: self._mutant(pool, parents))
            proposals += [Proposal(arch, "mutation", generation) for arch in mutants]
            crosses = self._children(pool, self.crossovers, lambda: self._cross(pool, parents))
            proposals += [Proposal(arch, "crossover", generation) for arch in crosses]
        try:
            while len(proposals) < self.population:
                proposals.append(Proposal(pool.draw(), "random", generation))
        except SpaceExhaustedError:
            if not proposals:
                raise
        return proposals

    def _children(self, pool: Pool, wanted: int, make: Callable[[], Any]) -> Iterator[Any]:
        found = 0
        for _ in range(self.attempts_per_child * wanted):
            if found == wanted:
                return
            child = make()
            if pool.claim(child):
                found += 1
                yield child

    @staticmethod
    def _mutant(pool: Pool, parents: Sequence[Any]) -> Any:
        return pool.space.mutate(pool.rng.choice(parents), pool.rng)

    @staticmethod
    def _cross(pool: Pool, parents: Sequence[Any]) -> Any:
        return pool.space.crossover(pool.rng.choice(parents), pool.rng.choice(parents), pool.rng)


SAMPLERS: dict[str, Callable[[], Sampler]] = {"evolution": EvolutionSampler, "random": RandomSampler}


def get_sampler(sampler: str | Sampler) -> Sampler:
    """Return a sampler by its name, or the sampler itself.

    Raises:
        InputError: no sampler has this name.
    """
    if not isinstance(sampler, str):
        return sampler
    if sampler not in SAMPLERS:
        raise InputError(f"unknown sampler {sampler!r}; choose from {', '.join(sorted(SAMPLERS))}")
    return SAMPLERS[sampler]()
