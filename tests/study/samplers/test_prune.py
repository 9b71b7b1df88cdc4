"""Pruning a supernet: what is left, that a cut search goes on, and what is refused."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from lswag_fast import search
from lswag_fast.errors import InputError, LswagError, SpaceError
from lswag_fast.spaces import Supernets
from lswag_fast.spaces.protocol import Alive, Arch, Removal
from lswag_fast.spaces.supernets import check_alive, edge_removals
from lswag_fast.study import Budget, Objective, Study
from lswag_fast.study.candidate_pool import SpaceExhaustedError
from lswag_fast.study.samplers import PruneSampler
from lswag_fast.study.storage import MemoryStorage
from lswag_fast.study.stored import read_study
from study.toy_space import ToySpace

WORTH = {"a": {"x": 3, "y": 1, "z": 2}, "b": {"x": 4, "y": 6, "z": 5}}
"""Of each operation on each edge. Their sum is the score, so that the best of each edge is to be left."""
N_TRIALS = 6 + 4 + 1


class TwoEdges(ToySpace):
    """The toy space with a supernet of two edges with three operations each; one path is a toy architecture."""

    edges: ClassVar[dict[str, tuple[str, ...]]] = {edge: tuple(worth) for edge, worth in WORTH.items()}

    def supernet(self, alive: Alive) -> nn.Module:
        check_alive(self.edges, alive)
        return nn.Sequential(nn.Flatten(), nn.Linear(192, sum(map(len, alive.values()))))

    def supernet_costs(self, alive: Alive) -> tuple[int, int]:
        n_ops = sum(map(len, alive.values()))
        return 193 * n_ops, 192 * n_ops

    def removals(self, alive: Alive) -> list[list[Removal]]:
        check_alive(self.edges, alive)
        return edge_removals(alive)

    def path(self, alive: Alive) -> Arch:
        return {"widths": [1 + "xyz".index(alive[edge][0]) for edge in self.edges] + [1] * 4}


def worth(trial: Any) -> float:
    alive = trial.arch.get("alive")
    return -100.0 if alive is None else sum(WORTH[edge][op] for edge, ops in alive.items() for op in ops)


def one(model: nn.Module, batch: Any) -> float:
    return 1.0


def run(study: Study, n_trials: int) -> None:
    for _ in range(n_trials):
        trial = study.ask()
        study.tell(trial, worth(trial))


def new_study(storage: MemoryStorage | None = None, **options: Any) -> Study:
    return Study(Supernets(TwoEdges()), PruneSampler(), storage, **options)


def test_what_is_missed_most_is_left_and_is_the_best() -> None:
    study = new_study(MemoryStorage())
    run(study, N_TRIALS)
    assert [trial.origin for trial in study.trials] == ["supernet"] * 10 + ["path"]
    assert study.best is not None and study.best.arch["widths"][:2] == [1, 2]  # x on a, y on b
    with pytest.raises(SpaceExhaustedError, match="one path is left"):
        study.ask()
    found = read_study(study.storage)
    assert found.best == study.best and found.top() == [study.best] == found.front()


@pytest.mark.parametrize("cut", range(N_TRIALS))
def test_a_cut_search_goes_on_as_if_it_had_not_been(cut: int) -> None:
    whole, storage = new_study(), MemoryStorage()
    run(whole, N_TRIALS)
    with new_study(storage) as study:
        run(study, cut)
    study = new_study(storage)
    run(study, N_TRIALS - cut)
    assert [trial.arch_json for trial in study.trials] == [trial.arch_json for trial in whole.trials]
    assert study.best is not None and whole.best is not None and study.best.arch == whole.best.arch


def test_several_proxies_are_ranked_among_the_supernets_of_a_step() -> None:
    study = new_study(objective=Objective(("lswag", "zico"), combine="rank_sum"))
    for _ in range(N_TRIALS):
        trial = study.ask()
        study.tell(trial, {"lswag": worth(trial), "zico": 1e6 * worth(trial)})
    assert study.best is not None and study.best.arch["widths"][:2] == [1, 2]


def test_a_supernet_that_fails_has_the_least_score() -> None:
    study = new_study()
    for number in range(N_TRIALS):
        trial = study.ask()
        failed = {"error": "broken"} if number == 1 else {"score": worth(trial)}  # without y on a, which is best
        study.tell(trial, **failed)
    assert study.best is not None and study.best.arch["widths"][:2] == [1, 2]  # y went a step later


def test_an_edge_without_a_score_ends_it() -> None:
    study = new_study()
    for _ in range(6):
        study.tell(study.ask(), error="broken")
    with pytest.raises(LswagError, match="no supernet without an operation of the edge a has a score"):
        study.ask()


def test_what_it_cannot_search_is_refused() -> None:
    with pytest.raises(SpaceError, match="the sampler prune searches supernets"):
        Study(ToySpace(), "prune").ask()
    with pytest.raises(InputError, match="takes no budget"):
        new_study(budget=Budget(params="..1G")).ask()
    batch = torch.zeros(2, 3, 8, 8), torch.zeros(2, dtype=torch.long)
    with pytest.raises(SpaceError, match="toy offers no supernets"):
        search(ToySpace(), batch, proxy="params", sampler="prune", n_trials=1)


def test_a_search_ends_with_the_path() -> None:
    batch = torch.zeros(2, 3, 8, 8), torch.zeros(2, dtype=torch.long)
    result = search(TwoEdges(), batch, proxy=one, sampler="prune", n_trials=100)
    assert result.stopped == "exhausted" and len(result.trials) == N_TRIALS
    assert result.best is not None and TwoEdges().encode(result.best.arch) == result.best.arch_json
    assert result.best.arch == TwoEdges().path({"a": ["z"], "b": ["z"]})  # all alike: the first of equals leaves
