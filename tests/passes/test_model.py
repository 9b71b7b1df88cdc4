"""The pass that counts: parameters without a forward, norms and MACs from one sample's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lswag_fast.data.batch import Batch
from lswag_fast.errors import NothingObservedError
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.model import ModelMeasurements, run_model
from support.snapshot import assert_unchanged, snapshot


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 3, bias=False)
        self.b = nn.Linear(3, 3, bias=False)
        self.b.weight = self.a.weight
        self.seen: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(x))
        return self.b(self.a(x).relu())


def run(model: nn.Module, *statistics: str) -> ModelMeasurements:
    batch = Batch(torch.ones(4, 3), torch.zeros(4).long(), 4)
    before = snapshot(model)
    try:
        return run_model(model, batch, ScoreOptions(), frozenset(statistics))
    finally:
        assert_unchanged(model, before)


def test_parameters_are_counted_without_a_forward_and_tied_ones_once() -> None:
    model = Tied()
    assert run(model, "params") == ModelMeasurements(9, {}, 0)
    assert model.seen == []


def test_one_sample_gives_norms_and_macs() -> None:
    model = Tied()
    found = run(model, "norms", "macs")
    assert found.macs == 2 * 9
    assert found.weight_norms == {"a.weight": torch.linalg.vector_norm(model.a.weight.detach().double()).item()}


def test_norms_need_a_weight() -> None:
    with pytest.raises(NothingObservedError, match="no linear or convolution function on a parameter"):
        run(nn.ReLU(), "norms")
    assert run(nn.ReLU(), "macs").macs == 0


def test_one_sample_goes_through_a_norm_of_the_batch() -> None:
    """Its BatchNorm has no running statistics, and one value per channel has no variance."""
    kinds = {tracked: nn.BatchNorm1d(3, track_running_stats=tracked) for tracked in (False, True)}
    models = [nn.Sequential(nn.Linear(3, 3), norm, nn.ReLU(), nn.Linear(3, 3)).eval() for norm in kinds.values()]
    assert [run(model, "norms", "macs").macs for model in models] == [18, 18]
    assert set(run(models[0], "norms").weight_norms) == {"0.weight", "3.weight"}


class Queries(nn.Module):
    """Hands an expanded view of a parameter to a submodule, as CaiT and Perceiver do."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.ones(1, 2, 3))
        self.project = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.project(self.query.expand(len(x), -1, -1)).mean(1) + x


def test_a_view_of_a_parameter_may_be_handed_to_a_submodule() -> None:
    assert run(Queries(), "macs").macs == 2 * 9
