"""Random search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from lswag_fast.errors import InputError
from lswag_fast.study.candidate_pool import CandidatePool
from lswag_fast.study.history import History
from lswag_fast.study.samplers.breeding import filled
from lswag_fast.study.samplers.protocol import ProposalBatch


@dataclass(frozen=True)
class RandomSampler:
    """Draws every architecture at random from the space.

    Attributes:
        proposals_per_batch: architectures drawn at a time. It changes nothing but how often the study stores its state;
            asking never waits for scores.

    Raises:
        InputError: the size is below 1.

    Example:
        >>> RandomSampler().adaptive
        False
    """

    name: ClassVar[str] = "random"
    adaptive: ClassVar[bool] = False
    n_leaders: ClassVar[int] = 0
    proposals_per_batch: int = 50

    def __post_init__(self) -> None:
        """Refuse an empty batch (InputError)."""
        if self.proposals_per_batch < 1:
            raise InputError(f"a batch has at least 1 architecture; found {self}")

    def propose(self, pool: CandidatePool, history: History, memory: Mapping[str, Any] | None) -> ProposalBatch:
        """Return random architectures."""
        return ProposalBatch(filled(pool, [], self.proposals_per_batch))
