"""What a study asks of a sampler. A sampler holds no state; chance and memory live with the study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from lswag_fast.errors import InputError
from lswag_fast.study.candidate_pool import Candidate, CandidatePool
from lswag_fast.study.history import History


@dataclass(frozen=True)
class Proposal:
    """An architecture to try.

    Attributes:
        candidate: the architecture, as the pool gave it.
        origin: how it was made: `random`, `mutation` or `crossover`. `Sampler` has an example:
            `Proposal(pool.draw(), "random")`.
    """

    candidate: Candidate
    origin: str


@dataclass(frozen=True)
class ProposalBatch:
    """Proposals made at one time.

    Attributes:
        proposals: at least one.
        memory: what the sampler wants to remember for the next batch, plain JSON values by name; stored with the
            proposals.
    """

    proposals: Sequence[Proposal]
    memory: Mapping[str, Any] | None = None


def check_batch(name: str, batch: ProposalBatch, n_claimed: int) -> None:
    """Refuse what no sampler may propose.

    Args:
        name: of the sampler, for the message.
        batch: what it proposed.
        n_claimed: how many architectures it took from the pool.

    Raises:
        InputError: nothing is proposed, or something else than what was taken.
    """
    if not isinstance(batch, ProposalBatch) or not batch.proposals:
        raise InputError(f"sampler {name} proposed nothing; propose() returns a ProposalBatch of at least one")
    n_different = len({proposal.candidate.arch_json for proposal in batch.proposals})
    if not n_claimed == n_different == len(batch.proposals):
        raise InputError(
            f"sampler {name} proposed {len(batch.proposals)} architectures, {n_different} of them different, and "
            f"took {n_claimed} from the pool; it proposes each that it takes, once"
        )


class Sampler(Protocol):
    """What a study asks of a sampler.

    A sampler that is a frozen dataclass may be registered by `register_sampler`; its fields are its options, which are
    stored with the study and compared when it is continued.

    Attributes:
        name: recorded with the results.
        adaptive: whether proposals depend on the scores told; a batch is then proposed when all before it are told.
        n_leaders: how many of the best trials it looks at.

    Example:
        >>> from dataclasses import dataclass
        >>> from typing import ClassVar
        >>> from lswag_fast.study import Proposal, ProposalBatch, Study
        >>> from lswag_fast import spaces
        >>> @dataclass(frozen=True)
        ... class OneByOne:
        ...     name: ClassVar[str] = "one_by_one"
        ...     adaptive: ClassVar[bool] = False
        ...     n_leaders: ClassVar[int] = 0
        ...     def propose(self, pool, history, memory):
        ...         return ProposalBatch([Proposal(pool.draw(), "random")])
        >>> Study(spaces.get("nasbench201"), OneByOne()).ask().origin
        'random'
    """

    name: ClassVar[str]
    adaptive: ClassVar[bool]

    @property
    def n_leaders(self) -> int:
        """How many of the best trials the sampler looks at."""

    def propose(self, pool: CandidatePool, history: History, memory: Mapping[str, Any] | None) -> ProposalBatch:
        """Return the next proposals; the same arguments give the same ones.

        Args:
            pool: where new architectures inside the budget come from, and the only source of chance. Each that it gives
                is to be proposed: a study that is continued knows those proposed alone.
            history: all trials so far.
            memory: that of the batch before, None for the first.

        Raises:
            SpaceExhaustedError: the pool gives no new architecture.
            BudgetError: no architecture meets the budget.
        """
