"""The sampler of Optuna in a search of this package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from lswag_fast.errors import InputError
from lswag_fast.integrations.optuna_library import naming_choices, optuna, quiet
from lswag_fast.integrations.optuna_trials import as_optuna_trial
from lswag_fast.study.candidate_pool import CandidatePool
from lswag_fast.study.history import History
from lswag_fast.study.samplers import Proposal, ProposalBatch
from lswag_fast.study.samplers.breeding import children, filled
from lswag_fast.study.trial import COMPLETE


@dataclass(frozen=True)
class OptunaSampler:
    """Optuna's tree-structured Parzen estimator proposes.

    For each batch of proposals the complete trials are given to a new `optuna.samplers.TPESampler`, with a seed from
    the chance of the search; so a search that is cut and continued proposes what an uninterrupted one does. What Optuna
    proposes twice, or outside the budget, is asked for again, up to ten times for each proposal; then a random
    architecture takes its place. Most of Optuna's other samplers keep what they know elsewhere than in the trials, and
    cannot be used like this.

    Attributes:
        proposals_per_batch: architectures proposed from one state of the model. To give it the trials takes longer the
            more there are, and is done once for a batch; n workers are busy with n or more.

    Raises:
        InputError: an empty batch.

    Example:
        >>> from lswag_fast.study import Study
        >>> from lswag_fast import spaces
        >>> study = Study(spaces.NasBench201(), OptunaSampler(proposals_per_batch=1), seed=0)
        >>> for trial in (study.ask() for _ in range(3)):
        ...     told = study.tell(trial, trial.n_params)
        >>> [trial.origin for trial in study.trials]
        ['optuna', 'optuna', 'optuna']
    """

    name: ClassVar[str] = "optuna"
    adaptive: ClassVar[bool] = True
    n_leaders: ClassVar[int] = 0
    proposals_per_batch: int = 10

    def __post_init__(self) -> None:
        """Refuse what proposes nothing (InputError)."""
        if self.proposals_per_batch < 1:
            raise InputError(f"proposals_per_batch must be at least 1; found {self.proposals_per_batch}")

    def propose(self, pool: CandidatePool, history: History, memory: Mapping[str, Any] | None) -> ProposalBatch:
        """Return what Optuna proposes, random architectures in the place of what is known or outside the budget."""
        space = naming_choices(pool.space)
        sampler = optuna().samplers.TPESampler(seed=pool.rng.getrandbits(32))
        with quiet():
            study = optuna().create_study(direction="maximize", sampler=sampler)
            complete = [trial for trial in history.all_scored() if trial.state == COMPLETE]
            study.add_trials([as_optuna_trial(trial, space) for trial in complete])
            made = children(pool, self.proposals_per_batch, lambda: space.suggest(study.ask()))
            proposals = [Proposal(candidate, "optuna") for candidate in made]
        return ProposalBatch(filled(pool, proposals, self.proposals_per_batch))
