"""The pruning search of xi-GSNR: operations leave the edges of a supernet, the least missed first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from lswag_fast.errors import InputError, LswagError, SpaceError
from lswag_fast.spaces.protocol import Removal
from lswag_fast.spaces.supernets import Supernets, without
from lswag_fast.study.candidate_pool import CandidatePool, SpaceExhaustedError
from lswag_fast.study.history import History
from lswag_fast.study.samplers.protocol import Proposal, ProposalBatch
from lswag_fast.study.trial import COMPLETE, SUPERNET, Trial

PATH = "path"
"""The origin of the architecture that is left."""


@dataclass(frozen=True)
class PruneSampler:
    """The pruning search of xi-GSNR (Sun et al., Algorithm 1 of its supplement), as TE-NAS prunes.

    The supernet has all operations on every edge. Each step scores the supernet without each of them, one at a time;
    then from each edge the one leaves whose removal costs least, which is the one without which the score is highest.
    So it goes on until one path is left: an architecture, which is scored at the end and is the best of the search,
    whatever the supernets had. In DARTS each node then still reads all nodes before it; of these edges those leave that
    are missed least, one of each node at a time, until there are two. With several proxies the scores are made of the
    ranks among the supernets of a step. A supernet that fails is as if it had the least score.

    NAS-Bench-201 takes 85 trials, DARTS 801. The search ends then; it takes no budget.

    Example:
        >>> from lswag_fast import spaces
        >>> from lswag_fast.study import Study
        >>> space = spaces.Supernets(spaces.NasBench201(channels=4, cells_per_stage=1, image_size=8))
        >>> study = Study(space, PruneSampler(), seed=0)
        >>> trial = study.ask()
        >>> trial.origin, trial.arch["alive"]["0->1"]
        ('supernet', ['skip_connect', 'nor_conv_1x1', 'nor_conv_3x3', 'avg_pool_3x3'])
    """

    name: ClassVar[str] = "prune"
    adaptive: ClassVar[bool] = True
    n_leaders: ClassVar[int] = 0
    searches_supernets: ClassVar[bool] = True

    def propose(self, pool: CandidatePool, history: History, memory: Mapping[str, Any] | None) -> ProposalBatch:
        """Return the supernets of the next step, or the path that is left.

        Raises:
            SpaceError: the space of the search is none of `Supernets`.
            InputError: there is a budget.
            LswagError: no supernet of an edge has a score.
            SpaceExhaustedError: the path was proposed before.
        """
        space = pool.space
        if not isinstance(space, Supernets):
            raise SpaceError(f"the sampler prune searches supernets: pass spaces.Supernets(space) of {space.name}")
        if pool.budget.to_dict():
            raise InputError("the sampler prune takes no budget: it begins with what is larger than any architecture")
        if memory is None:
            alive = space.whole()
        elif not space.space.removals(memory["alive"]):
            raise SpaceExhaustedError("one path is left of the supernet")
        else:
            alive = without(memory["alive"], *self._chosen(space, history, memory["alive"]))
        groups = space.space.removals(alive)
        if not groups:
            return ProposalBatch([_proposal(pool, space.space.path(alive), PATH)], {"alive": alive})
        supernets = [_proposal(pool, {"alive": without(alive, removal)}, SUPERNET) for g in groups for removal in g]
        return ProposalBatch(supernets, {"alive": alive})

    def _chosen(self, space: Supernets, history: History, alive: Mapping[str, Sequence[str]]) -> list[Removal]:
        """Of each group the removal that costs least, by the trials of the last batch."""
        scores = iter(_scores(history, history.last_batch()))
        chosen = []
        for group in space.space.removals(alive):
            found = [(next(scores), removal) for removal in group]
            score, removal = max(found, key=lambda pair: pair[0])
            if score == -math.inf:
                raise LswagError(f"prune: no supernet without an operation of the edge {removal[0]} has a score")
            chosen.append(removal)
        return chosen


def _proposal(pool: CandidatePool, arch: Any, origin: str) -> Proposal:
    candidate = pool.claim(arch)
    if candidate is None:
        raise RuntimeError(f"a supernet was proposed before: {arch}")
    return Proposal(candidate, origin)


def _scores(history: History, trials: Sequence[Trial]) -> list[float]:
    """The scores of trials among each other; -inf of those that failed."""
    complete = [trial for trial in trials if trial.state == COMPLETE]
    scores = dict(zip((trial.number for trial in complete), history.scores_among(complete), strict=True))
    return [scores.get(trial.number, -math.inf) for trial in trials]
