"""The evolutionary search of xi-GSNR: one child replaces the worst member of a population."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from lswag_fast.errors import InputError
from lswag_fast.study.candidate_pool import CandidatePool
from lswag_fast.study.history import History
from lswag_fast.study.samplers.breeding import children, filled, mutant
from lswag_fast.study.samplers.protocol import Proposal, ProposalBatch
from lswag_fast.study.trial import COMPLETE


@dataclass(frozen=True)
class SteadyStateSampler:
    """The evolutionary search of xi-GSNR (Sun et al., Algorithm 2 of its supplement).

    A random population; then again and again a random member is mutated, and the child replaces the worst member if it
    is better. With several proxies better and worse are those of the moment, among everything seen. A failed trial is
    never a member.

    Attributes:
        population: members; the first batch, drawn at random, has as many.
        proposals_per_batch: children made from one state of the population. 1 is the published algorithm, in which each
            child waits for the one before; n workers are busy with n or more.

    Raises:
        InputError: a size is below 1.

    Example:
        >>> from lswag_fast.study import Study
        >>> from lswag_fast import spaces
        >>> study = Study(spaces.get("nasbench201"), SteadyStateSampler(population=4), seed=0)
        >>> for trial in (study.ask() for _ in range(5)):
        ...     told = study.tell(trial, trial.n_params)
        >>> [trial.origin for trial in study.trials]
        ['random', 'random', 'random', 'random', 'mutation']
    """

    name: ClassVar[str] = "steady_state"
    adaptive: ClassVar[bool] = True
    n_leaders: ClassVar[int] = 0
    population: int = 128
    proposals_per_batch: int = 1

    def __post_init__(self) -> None:
        """Refuse an empty population or batch (InputError)."""
        if min(self.population, self.proposals_per_batch) < 1:
            raise InputError(f"population and proposals_per_batch must be at least 1; found {self}")

    def propose(self, pool: CandidatePool, history: History, memory: Mapping[str, Any] | None) -> ProposalBatch:
        """Return the random population, then mutations of members; random where those give nothing new."""
        if memory is None:
            return ProposalBatch(filled(pool, [], self.population), {"members": []})
        members = self._members(history, memory["members"])
        parents = [history.trials[number].arch for number in members]
        mutants = children(pool, self.proposals_per_batch, lambda: mutant(pool, parents)) if parents else ()
        proposals = [Proposal(candidate, "mutation") for candidate in mutants]
        made = filled(pool, proposals, self.proposals_per_batch)
        return ProposalBatch(made, {"members": members})

    def _members(self, history: History, members: Sequence[int]) -> list[int]:
        """The population after the trials of the last batch have asked for a place, in order."""
        joining = [trial.number for trial in history.last_batch() if trial.state == COMPLETE]
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
