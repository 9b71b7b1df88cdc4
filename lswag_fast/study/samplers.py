"""Samplers: which architectures to try next. A sampler holds no state; chance and memory live with the study."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from lswag_fast.errors import InputError
from lswag_fast.study.candidate_pool import Candidate, CandidatePool, SpaceExhaustedError
from lswag_fast.study.history import History
from lswag_fast.study.trial import COMPLETE

# Attempts a wanted child before random architectures take its place, as in AutoFormer's published script.
ATTEMPTS_PER_CHILD = 10


@dataclass(frozen=True)
class Proposal:
    """An architecture to try, and how it came about: `random`, `mutation` or `crossover`."""

    candidate: Candidate
    origin: str


@dataclass(frozen=True)
class ProposalBatch:
    """Proposals made at one time, at least one, and what the sampler wants to remember for the next time.

    The memory is stored with the proposals and must be plain JSON values.
    """

    proposals: Sequence[Proposal]
    memory: Any = None


class Sampler(Protocol):
    """What a study asks of a sampler.

    Attributes:
        name: recorded with the results.
        adaptive: whether proposals depend on the scores told; a wave is then made when all before are told.
        n_leaders: how many of the best trials it looks at.
    """

    name: ClassVar[str]
    adaptive: ClassVar[bool]

    @property
    def n_leaders(self) -> int:
        """How many of the best trials the sampler looks at."""

    def propose(self, pool: CandidatePool, history: History, memory: Any) -> ProposalBatch:
        """Return the next proposals; the same arguments give the same ones.

        Args:
            pool: where new architectures inside the budget come from, and the only source of chance.
            history: all trials so far.
            memory: that of the wave before, None for the first.

        Raises:
            SpaceExhaustedError: the pool gives no new architecture.
            BudgetError: no architecture meets the budget.
        """


@dataclass(frozen=True)
class RandomSampler:
    """Draws every architecture at random from the space.

    Attributes:
        wave: architectures drawn at a time. It changes nothing but how often the study stores its state; asking never
            waits for scores.
    """

    name: ClassVar[str] = "random"
    adaptive: ClassVar[bool] = False
    n_leaders: ClassVar[int] = 0
    wave: int = 50

    def __post_init__(self) -> None:
        """Refuse an empty wave (InputError)."""
        if self.wave < 1:
            raise InputError(f"a wave has at least 1 architecture; found {self}")

    def propose(self, pool: CandidatePool, history: History, memory: Any) -> ProposalBatch:
        """Return random architectures."""
        return ProposalBatch(_filled(pool, [], self.wave))


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
    adaptive: ClassVar[bool] = True
    population: int = 50
    parents: int = 10
    mutations: int = 25
    crossovers: int = 25

    def __post_init__(self) -> None:
        """Refuse sizes that make no generation (InputError)."""
        if min(self.population, self.parents) < 1 or min(self.mutations, self.crossovers) < 0:
            raise InputError(f"population and parents must be at least 1, children at least 0; found {self}")
        if self.mutations + self.crossovers > self.population:
            raise InputError(f"mutations and crossovers together must fit in the population; found {self}")

    @property
    def n_leaders(self) -> int:
        """The number of parents."""
        return self.parents

    def propose(self, pool: CandidatePool, history: History, memory: Any) -> ProposalBatch:
        """Return one generation; shorter than the population only when the space runs out."""
        parents = [trial.arch for trial in history.top(self.parents)]
        proposals: list[Proposal] = []
        if parents:
            mutants = _children(pool, self.mutations, lambda: _mutant(pool, parents))
            proposals += [Proposal(candidate, "mutation") for candidate in mutants]
            crosses = _children(pool, self.crossovers, lambda: _cross(pool, parents))
            proposals += [Proposal(candidate, "crossover") for candidate in crosses]
        return ProposalBatch(_filled(pool, proposals, self.population))


@dataclass(frozen=True)
class SteadyStateSampler:
    """The evolutionary search of xi-GSNR (Sun et al., Algorithm 2 of its supplement).

    A random population; then again and again a random member is mutated, and the child replaces the worst member if it
    is better. With several proxies better and worse are those of the moment, among everything seen. A failed trial is
    never a member.

    Attributes:
        population: members; the first wave, drawn at random, has as many.
        wave: children made from one state of the population. 1 is the published algorithm, in which each child waits
            for the one before; n workers are busy with n or more.
    """

    name: ClassVar[str] = "steady"
    adaptive: ClassVar[bool] = True
    n_leaders: ClassVar[int] = 0
    population: int = 128
    wave: int = 1

    def __post_init__(self) -> None:
        """Refuse an empty population or wave (InputError)."""
        if min(self.population, self.wave) < 1:
            raise InputError(f"population and wave must be at least 1; found {self}")

    def propose(self, pool: CandidatePool, history: History, memory: Any) -> ProposalBatch:
        """Return the random population, then `wave` mutations of members; random where those give nothing new."""
        if memory is None:
            return ProposalBatch(_filled(pool, [], self.population), {"members": [], "n_seen": 0})
        members = self._members(history, memory["members"], memory["n_seen"])
        parents = [history.trials[number].arch for number in members]
        children = _children(pool, self.wave, lambda: _mutant(pool, parents)) if parents else ()
        proposals = [Proposal(candidate, "mutation") for candidate in children]
        return ProposalBatch(_filled(pool, proposals, self.wave), {"members": members, "n_seen": len(history)})

    def _members(self, history: History, members: Sequence[int], n_seen: int) -> list[int]:
        """The population after the trials from number `n_seen` on have asked for a place, in order."""
        joining = [trial.number for trial in history.trials[n_seen:] if trial.state == COMPLETE]
        scores = history.scores([*members, *joining])
        places, place_scores = list(members), scores[: self.population].copy()
        for number, score in zip(joining, scores[len(members) :], strict=True):
            if len(places) < self.population:
                places.append(number)
                continue
            worst = int(place_scores.argmin())
            if score > place_scores[worst]:
                places[worst], place_scores[worst] = number, score
        return places


def _children(pool: CandidatePool, wanted: int, make: Callable[[], Any]) -> Iterator[Candidate]:
    found = 0
    for _ in range(ATTEMPTS_PER_CHILD * wanted):
        if found == wanted:
            return
        if candidate := pool.claim(make()):
            found += 1
            yield candidate


def _mutant(pool: CandidatePool, parents: Sequence[Any]) -> Any:
    return pool.space.mutate(pool.rng.choice(parents), pool.rng)


def _cross(pool: CandidatePool, parents: Sequence[Any]) -> Any:
    return pool.space.crossover(pool.rng.choice(parents), pool.rng.choice(parents), pool.rng)


def _filled(pool: CandidatePool, proposals: list[Proposal], wanted: int) -> list[Proposal]:
    """The proposals, filled up with random architectures; fewer than `wanted` only when the space runs out."""
    try:
        while len(proposals) < wanted:
            proposals.append(Proposal(pool.draw(), "random"))
    except SpaceExhaustedError:
        if not proposals:
            raise
    return proposals


SAMPLERS: dict[str, Callable[[], Sampler]] = {
    "evolution": EvolutionSampler,
    "random": RandomSampler,
    "steady": SteadyStateSampler,
}


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
