"""The features pass: what it reduces, in which mode, and that it leaves the model alone."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from lswag_fast.data.batch import Batch
from lswag_fast.errors import InputError
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.features import FeatureMeasurements, run_features
from support.snapshot import assert_unchanged, snapshot

X = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(3))


def run(model: nn.Module, inputs: Tensor, *statistics: str, chunk_size: int | None = None) -> FeatureMeasurements:
    before = snapshot(model)
    try:
        options = ScoreOptions(chunk_size=chunk_size)
        return run_features(model, Batch(inputs, None, len(inputs)), options, frozenset(statistics))
    finally:
        assert_unchanged(model, before)


def test_the_dimensions_of_channels_that_vary_alike_are_their_number() -> None:
    rows = torch.cat([torch.eye(5), -torch.eye(5)]) + 2  # so that ReLU is the identity
    (found,) = run(nn.ReLU(), rows, "log_dimensions")["log_dimensions"]
    assert found == pytest.approx(math.log(5), rel=1e-12)


def test_fewer_rows_than_channels_give_the_same_as_the_covariance() -> None:
    rows = torch.rand(3, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    covariance = torch.cov(rows.t())
    expected = math.log(covariance.trace() ** 2 / covariance.square().sum())
    assert run(nn.ReLU(), rows, "log_dimensions")["log_dimensions"] == pytest.approx((expected,), rel=1e-12)


def test_what_does_not_vary_has_no_dimension() -> None:
    assert run(nn.ReLU(), -torch.ones(4, 3).cumsum(0), "log_dimensions")["log_dimensions"] == (0.0,)


def test_what_was_not_asked_for_is_not_there() -> None:
    with pytest.raises(KeyError):
        run(nn.ReLU(), X, "log_dimensions")["effective_ranks"]


def test_the_model_runs_once_in_its_own_mode() -> None:
    modes = []

    class Probe(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            modes.append((self.training, torch.is_grad_enabled()))
            return x.relu()

    for training in (True, False):
        run(Probe().train(training), X, "log_dimensions")
    assert modes == [(True, False), (False, False)]


def test_the_batch_is_not_written() -> None:
    inputs = X.clone()
    run(nn.ReLU(inplace=True), inputs, "log_dimensions")
    assert torch.equal(inputs, X)


def test_a_chunk_size_is_refused() -> None:
    with pytest.raises(InputError, match="the features pass takes the whole batch at once"):
        run(nn.ReLU(), X, "log_dimensions", chunk_size=2)


def test_a_first_sample_lies_first_along_axis_0() -> None:
    class Folded(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.reshape(-1, 2).relu()  # two rows of each sample

    rows = torch.rand(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert run(Folded(), rows, "least_correlations")["least_correlations"] == (0.0,)  # no more positions than channels

    class Sequences(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.t().reshape(3, 4, 1).relu()

    with pytest.raises(InputError, match=r"a feature of shape \(3, 4, 1\) has no samples along axis 0"):
        run(Sequences(), torch.rand(4, 3), "least_correlations")
