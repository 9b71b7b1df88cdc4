"""What samplers make proposals from: children of parents, and random architectures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lswag_fast.study.candidate_pool import Candidate, CandidatePool, SpaceExhaustedError
from lswag_fast.study.samplers.protocol import Proposal

# Attempts per wanted child before random architectures take its place, as in AutoFormer's published script.
ATTEMPTS_PER_CHILD = 10


def children(pool: CandidatePool, wanted: int, make: Callable[[], Any]) -> Iterator[Candidate]:
    """Yield up to `wanted` new candidates inside the budget, of the architectures that `make` gives.

    There are fewer when `ATTEMPTS_PER_CHILD` attempts for each of them do not find as many.
    """
    found = 0
    for _ in range(ATTEMPTS_PER_CHILD * wanted):
        if found == wanted:
            return
        if candidate := pool.claim(make()):
            found += 1
            yield candidate


def crosses(pool: CandidatePool, wanted: int, parents: Sequence[Any], most_failures: int) -> Iterator[Candidate]:
    """Yield up to `wanted` new crossovers inside the budget, like `children`.

    After `most_failures` in a row (0: never) the crossovers are mutated as well, until one is new: parents that became
    alike have few different crossovers.
    """
    n_seen, failures = -1, -1

    def make() -> Any:
        nonlocal n_seen, failures
        failures = failures + 1 if n_seen == len(pool.known) else 0
        n_seen = len(pool.known)
        child = cross(pool, parents)
        return pool.space.mutate(child, pool.rng) if 0 < most_failures <= failures else child

    return children(pool, wanted, make)


def mutant(pool: CandidatePool, parents: Sequence[Any]) -> Any:
    """Return a mutation of a random parent."""
    return pool.space.mutate(pool.rng.choice(parents), pool.rng)


def cross(pool: CandidatePool, parents: Sequence[Any]) -> Any:
    """Return a crossover of two random parents, which may be the same."""
    return pool.space.crossover(pool.rng.choice(parents), pool.rng.choice(parents), pool.rng)


def filled(pool: CandidatePool, proposals: list[Proposal], wanted: int) -> list[Proposal]:
    """Return the proposals, filled up with random architectures.

    They are fewer than `wanted` only when the space runs out.

    Raises:
        SpaceExhaustedError: there is not a single one.
    """
    try:
        while len(proposals) < wanted:
            proposals.append(Proposal(pool.draw(), "random"))
    except SpaceExhaustedError:
        if not proposals:
            raise
    return proposals
