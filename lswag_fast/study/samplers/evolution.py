"""The evolutionary search of AutoFormer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from lswag_fast.errors import InputError
from lswag_fast.study.candidate_pool import CandidatePool
from lswag_fast.study.history import History
from lswag_fast.study.samplers.breeding import children, crosses, filled, mutant
from lswag_fast.study.samplers.protocol import Proposal, ProposalBatch


@dataclass(frozen=True)
class EvolutionSampler:
    """The evolutionary search of AutoFormer (Chen et al., ICCV 2021).

    The first batch of proposals is random. Each later one is mutations, then crossovers of the best trials of the whole
    run so far, filled up with random architectures. The mutation probabilities (0.2 per layer, 0.4 for depth and width)
    belong to the space's `mutate`.

    Departures from the published script: it redraws the parents of a crossover until their depths agree (at most 50
    times); here two parents are drawn once and the space's `crossover` joins any two architectures. Where crossovers
    give nothing new `crossover_failures` times in a row, the next are mutated as well: late in a long search the
    parents are so alike that the script draws known architectures again and again.

    Attributes:
        population: proposals per batch.
        parents: how many of the best trials are parents.
        mutations: proposals per batch made by `space.mutate` of one parent.
        crossovers: proposals per batch made by `space.crossover` of two parents.
        crossover_failures: crossovers in a row that were proposed before or are outside the budget until the next ones
            are mutated as well; 0 for never, as published.

    Raises:
        InputError: sizes that make no batch of proposals.

    Example:
        >>> EvolutionSampler(population=20, mutations=10, crossovers=10).adaptive
        True
    """

    name: ClassVar[str] = "evolution"
    adaptive: ClassVar[bool] = True
    population: int = 50
    parents: int = 10
    mutations: int = 25
    crossovers: int = 25
    crossover_failures: int = 2

    def __post_init__(self) -> None:
        """Refuse sizes that make no batch of proposals (InputError)."""
        if min(self.population, self.parents) < 1 or min(self.mutations, self.crossovers, self.crossover_failures) < 0:
            raise InputError(f"population and parents must be at least 1, the rest at least 0; found {self}")
        if self.mutations + self.crossovers > self.population:
            raise InputError(f"mutations and crossovers together must fit in the population; found {self}")

    @property
    def n_leaders(self) -> int:
        """The number of parents."""
        return self.parents

    def propose(self, pool: CandidatePool, history: History, memory: Mapping[str, Any] | None) -> ProposalBatch:
        """Return one batch; shorter than the population only when the space runs out."""
        parents = [trial.arch for trial in history.top(self.parents)]
        proposals: list[Proposal] = []
        if parents:
            mutants = children(pool, self.mutations, lambda: mutant(pool, parents))
            proposals += [Proposal(candidate, "mutation") for candidate in mutants]
            crossed = crosses(pool, self.crossovers, parents, self.crossover_failures)
            proposals += [Proposal(candidate, "crossover") for candidate in crossed]
        return ProposalBatch(filled(pool, proposals, self.population))
