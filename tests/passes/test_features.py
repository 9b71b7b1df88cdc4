"""The features pass: what it reduces, in which mode, and that it leaves the model alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast.data.batch import Batch
from lswag_fast.errors import InputError, NonFiniteGradientError, UnsupportedModelError
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


def test_two_rows_of_a_sample_are_told_apart_from_those_of_others() -> None:
    class Folded(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.reshape(-1, 2).relu()  # two rows of each sample

    rows = torch.rand(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert run(Folded(), rows, "least_correlations")["least_correlations"] == (0.0,)  # no more positions than channels


class TimeFirst(nn.Module):
    """ReLU on sequences that lead with time, as torch's own attention has them; the rows of all in one, if `joined`."""

    def __init__(self, joined: bool) -> None:
        super().__init__()
        self.joined = joined

    def forward(self, x: Tensor) -> Tensor:
        sequences = x.transpose(0, 1)  # (T, B, C)
        return (sequences.reshape(-1, x.shape[2]) if self.joined else sequences).relu()


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("n_samples", [2, 3, 4])  # of 12 positions: T is a multiple of B
def test_the_first_sample_is_found_in_sequences_that_lead_with_time(n_samples: int, joined: bool) -> None:
    sequences = torch.randn(n_samples, 12, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.linalg.eigvalsh(torch.corrcoef(sequences[0].relu().t()))[0]
    found = run(TimeFirst(joined), sequences, "least_correlations")["least_correlations"]
    assert found == pytest.approx((float(expected),), rel=1e-9)


def test_the_first_sample_of_rows_that_the_data_chose_are_its_own() -> None:
    class Chosen(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            rows = x.flatten(0, 1)
            return rows[(rows.sum(-1) > 0).nonzero().squeeze(1)].relu()

    sequences = torch.randn(3, 20, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    own = sequences[0][sequences[0].sum(-1) > 0].relu()
    (found,) = run(Chosen(), sequences, "least_correlations")["least_correlations"]
    assert found == pytest.approx(float(torch.linalg.eigvalsh(torch.corrcoef(own.t()))[0]), rel=1e-9)


def test_a_feature_whose_samples_cannot_be_found_is_refused() -> None:
    class Lost(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sum(0, keepdim=True).expand(4, 8, 3).relu()  # axis 0 has B entries, axis 1 twice as many

    with pytest.raises(InputError, match=r"in a feature of shape \(4, 8, 3\) the axis of the samples was not found"):
        run(Lost(), torch.rand(4, 1, 3), "least_correlations")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_that_has_no_mean_in_floating_point_does_not_vary(dtype: torch.dtype) -> None:
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU()).to(dtype)
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.uniform_(0.1, 0.9)
    statistics = ("principal_components", "log_dimensions", "sampled_correlations")
    for n_rows in (6, 7, 13):  # a seventh of the sum of seven equal numbers is often another number
        found = run(model, torch.randn(2, n_rows, 8, dtype=dtype), *statistics)
        assert [set(found[name]) for name in statistics] == [{0.0}] * 3


def test_a_number_for_each_sample_is_one_channel_and_a_vector_without_samples_one_row() -> None:
    class Numbers(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, 0].relu() + x.mean(0).sum().relu() + x.mean(0).relu().sum()

    found = run(Numbers(), torch.rand(5, 3) + 1, "effective_ranks")["effective_ranks"]
    assert found == pytest.approx((1.0, 1.0), rel=1e-9)  # of (5, 1) and of (1, 3); a number alone is no feature


@pytest.mark.parametrize(
    ("mean", "n_directions", "tolerance"),
    [
        (0.0, 600, 1e-9),  # every singular value counts, and is far above the error of a product's eigenvalue
        (0.0, 60, 1e-6),  # 540 are only rounding errors, and add about as much as they may
        (100.0, 60, 1e-12),  # the largest outweighs all others, which so come from the rows
    ],
)
def test_the_rank_of_many_channels(mean: float, n_directions: int, tolerance: float) -> None:
    torch.manual_seed(0)
    model, inputs = nn.Linear(n_directions, 600), torch.randn(600, n_directions)
    nn.init.constant_(model.bias, mean)
    (found,) = run(model, inputs, "effective_ranks")["effective_ranks"]
    values = torch.linalg.svdvals(model(inputs).detach().double())
    assert found == pytest.approx(float(torch.special.entr(values / values.sum()).sum().exp()), rel=tolerance)


@pytest.mark.parametrize("statistic", ["log_dimensions", "least_correlations", "effective_ranks"])
def test_what_is_not_finite_is_refused_by_name(statistic: str) -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x * math.nan).relu()

    with pytest.raises(NonFiniteGradientError, match=r"\(activation\) has NaN or infinite values \(192 of 192\)"):
        run(Broken(), X[:1], statistic)


@pytest.mark.parametrize("statistic", ["least_correlations", "effective_ranks"])
def test_complex_features_are_refused_rather_than_cut_to_their_real_part(statistic: str) -> None:
    model = nn.Linear(3, 2, dtype=torch.complex64)
    with pytest.raises(UnsupportedModelError, match=r"of shape \(4, 2\) of a call \(weight\) is complex"):
        run(model, torch.rand(4, 3, dtype=torch.complex64), statistic)


def test_attention_without_any_key_is_refused() -> None:
    class Masked(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.softmax(x @ x.transpose(1, 2) - math.inf, -1)

    with pytest.raises(NonFiniteGradientError, match=r"\(attention\) has NaN or infinite values"):
        run(Masked(), torch.rand(2, 3, 4), "head_confidences")


def test_the_ratio_of_the_singular_values_of_the_first_sample() -> None:
    rows = torch.zeros(2, 2, 3, dtype=torch.float64)
    rows[0] = torch.tensor([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
    assert run(nn.ReLU(), rows, "singular_ratios")["singular_ratios"] == pytest.approx((0.75,), rel=1e-12)
    assert run(nn.ReLU(), -1 - rows, "singular_ratios")["singular_ratios"] == (0.0,)


def test_of_a_feature_that_is_the_same_everywhere_any_axis_gives_the_first_sample() -> None:
    class Cut(nn.Module):
        """An edge of zeros before a norm; as many channels as samples, so that sizes do not tell them apart."""

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.batch_norm(x.new_zeros(4, 4, 4, 4), None, None, training=True) + x.mean()

    squares = torch.ones(4, 3, 4, 4).cumsum(0)
    assert run(Cut(), squares, "least_correlations", "singular_ratios").values == {
        "least_correlations": (0.0,),
        "singular_ratios": (0.0,),
    }


@pytest.mark.parametrize("statistic", ["least_correlations", "effective_ranks", "log_dimensions"])
def test_a_call_under_vmap_shows_no_samples(statistic: str) -> None:
    class Mapped(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return torch.func.vmap(lambda row: super(Mapped, self).forward(row).relu())(x)

    with pytest.raises(UnsupportedModelError, match=r"inside of a transform of torch\.func \(vmap, grad\)"):
        run(Mapped(8, 4), X.flatten(1)[:, :8], statistic)


@pytest.mark.parametrize(
    "statistic",
    ["log_dimensions", "least_correlations", "sampled_correlations", "singular_ratios", "effective_ranks"],
)
def test_a_feature_without_positions_has_no_rank(statistic: str) -> None:
    class Empty(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x[:, :0]).relu().sum(1)

    assert set(run(Empty(8, 4), X.flatten(2)[..., :8], statistic)[statistic]) == {0.0}


WRITTEN_OUT = {
    "silu": (F.silu, lambda x: x * x.sigmoid()),
    "gelu": (
        lambda x: F.gelu(x, approximate="tanh"),
        lambda x: 0.5 * x * (1 + (math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)).tanh()),
    ),
    "gated": (lambda x: F.silu(x) * x.roll(1, -1), lambda x: x.sigmoid() * x * x.roll(1, -1)),
}


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_an_activation_that_is_written_out_counts_once(name: str) -> None:
    class Layers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(6, 8).double(), nn.Linear(8, 2).double()
            self.act: Callable[[Tensor], Tensor] = F.relu

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.act(self.first(x)))

    torch.manual_seed(0)
    model, x, statistics = Layers(), torch.randn(9, 6, dtype=torch.float64), ("log_dimensions", "effective_ranks")
    found = []
    for act in WRITTEN_OUT[name]:
        model.act = act
        found.append(run(model, x, *statistics))
    for statistic in statistics:
        assert found[1][statistic] == pytest.approx(found[0][statistic], rel=1e-9)  # rounding of other operations
