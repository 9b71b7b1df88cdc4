"""From operands to statistics: depth bins, row blocks, micro-batches, calls that see no gradient."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lswag_fast
from lswag_fast import Score, reference
from lswag_fast.errors import LswagWarning, NothingObservedError
from lswag_fast.observe import ObservedWeight, WeightCall
from lswag_fast.observe.operations import LOOKUP, OPERATIONS
from lswag_fast.observe.samples.axis import AxisCandidates, SampleAxis
from lswag_fast.observe.weights import Piece
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.shared.reducer import percentile
from lswag_fast.passes.standard.gradient_reducer import GradientReducer, PieceStatistics
from networks import NETWORKS
from support.oracle import SHOWN, summed_loss, trainability_of

B = 6


def score(model: nn.Module, batch: Any, **options: Any) -> Score:
    return lswag_fast.score(model, batch, pattern_samples=SHOWN, **options)


# ---- Eq. 6 ----


@pytest.mark.parametrize(
    ("n_layers", "bins"),
    [
        (1, [10]),
        (2, [5, 10]),
        (3, [3, 6, 10]),
        (4, [2, 5, 7, 10]),
        (10, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (12, [0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10]),
    ],
)
def test_percentile_bins_by_hand(n_layers: int, bins: list[int]) -> None:
    assert [percentile(place, n_layers) for place in range(1, n_layers + 1)] == bins


def test_every_deep_network_has_one_layer_in_bin_10() -> None:
    for n_layers in range(1, 300):
        bins = [percentile(place, n_layers) for place in range(1, n_layers + 1)]
        assert bins == sorted(bins)
        assert bins.count(10) == 1


# ---- rows ----


def wide(n_rows: int) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(5, n_rows), nn.GELU(), nn.Linear(n_rows, 3)).double()
    return model, (torch.randn(B, 5).double(), torch.arange(B) % 3)


STATISTICS = frozenset(("gradients", "patterns"))


def options(row_fraction: float, seed: int = 0) -> ScoreOptions:
    return ScoreOptions(row_fraction=row_fraction, seed=seed)


def test_all_rows_are_exact() -> None:
    model, batch = wide(40)
    assert score(model, batch, row_fraction=1.0).layers == score(model, batch).layers
    assert GradientReducer(options(1.0), B, STATISTICS)._rows("key", 40) == (None, 1.0)


@pytest.mark.parametrize(("fraction", "n_chosen"), [(0.125, 1), (0.25, 2), (0.26, 3), (0.5, 4), (0.9, 8)])
def test_a_fraction_takes_that_many_blocks_rounded_up(fraction: float, n_chosen: int) -> None:
    blocks, scale = GradientReducer(options(fraction), B, STATISTICS)._rows("key", 64)
    if n_chosen == 8:
        assert (blocks, scale) == (None, 1.0)
    else:
        assert len(blocks) == len(set(blocks)) == n_chosen
        assert list(blocks) == sorted(blocks)
        assert scale == 8 / n_chosen


def test_a_short_last_block_counts_its_own_rows() -> None:
    scales = {GradientReducer(options(0.2, seed), B, STATISTICS)._rows(f"{seed}", 20) for seed in range(20)}
    assert scales == {((0,), 20 / 8), ((1,), 20 / 8), ((2,), 20 / 4)}


def test_rows_are_seeded_by_seed_and_layer() -> None:
    reducer = GradientReducer(options(0.25), B, STATISTICS)
    assert reducer._rows("0/a", 640) == reducer._rows("0/a", 640)
    assert reducer._rows("0/a", 640) != reducer._rows("0/b", 640)
    model, batch = wide(80)
    first = score(model, batch, row_fraction=0.2, seed=1)
    assert first.layers == score(model, batch, row_fraction=0.2, seed=1).layers
    assert len({score(model, batch, row_fraction=0.2, seed=seed).value for seed in range(4)}) > 1


def test_the_estimate_is_the_scaled_sum_over_the_chosen_rows_and_unbiased() -> None:
    """Over all subsets of equal blocks the mean of the estimates is the exact sum."""
    model, batch = wide(32)
    gradients = reference.per_sample_gradients(model, batch, ["0.weight"])["0.weight"]
    sums = [reference.gradient_statistics(gradients[:, 8 * k : 8 * k + 8])["sum_inv_sigma"] for k in range(4)]
    estimates = {blocks: 2 * sum(sums[k] for k in blocks) for blocks in itertools.combinations(range(4), 2)}
    seen = {math.exp(score(model, batch, row_fraction=0.5, seed=seed).layers[0].trainability) for seed in range(40)}
    assert sorted(seen) == pytest.approx(sorted(estimates.values()), rel=1e-9)  # 40 seeds meet all 6 subsets
    assert sum(seen) / len(seen) == pytest.approx(sum(sums), rel=1e-9)


# ---- micro-batches ----


@pytest.mark.parametrize("name", ["mlp", "cnn_eval", "vit", "mha_time_first_t_equals_b", "called_twice"])
@pytest.mark.parametrize("n_groups", [2, 3, 6])
def test_micro_batches_sum_the_gradients_of_consecutive_samples(name: str, n_groups: int) -> None:
    net = NETWORKS[name]
    model, batch = net.build()
    exact = reference.per_sample_gradients(model, batch, net.observed, summed_loss(net))
    for layer in score(model, batch, variance=f"microbatch:{n_groups}").layers:
        grouped = reference.micro_batches(exact[layer.name], n_groups)
        assert layer.trainability == pytest.approx(trainability_of(grouped), rel=1e-9)


# ---- look-ups in chunks ----


def call_on_a_table(weight: Tensor, x: Tensor, grad_out: Tensor) -> ObservedWeight:
    """A weight with one call whose gradient has arrived; it looks rows up where `x` holds numbers of rows."""
    operation = OPERATIONS[F.linear] if x.is_floating_point() else LOOKUP
    candidates = AxisCandidates((SampleAxis(0),), certain=True)
    call = WeightCall(0, operation, x.shape, candidates, torch.zeros(()), operands=(x, grad_out))
    return ObservedWeight("table", operation.kind, Piece.of(weight), weight, [call])


def reduced(chunks: list[tuple[Tensor, Tensor]], weight: Tensor) -> PieceStatistics:
    chosen = ScoreOptions(chunk_size=2)
    reducer = GradientReducer(chosen, 2 * len(chunks), frozenset(("gradients", "batch_gradient")))
    for x, grad_out in chunks:
        seen = call_on_a_table(weight, x, grad_out)
        reducer.choose([seen], len(x))
        reducer.reduce_weight(seen)
    ((piece,),) = (pieces.values() for pieces in reducer.pieces.values())
    return piece


def test_the_rows_that_occurred_so_far_are_all_that_is_kept_of_a_table() -> None:
    """Rows 7 and 2, then 2 and 990, of a table of a thousand."""
    torch.manual_seed(0)
    weight, indices = torch.randn(1000, 3).double(), torch.tensor([[7, 2], [2, 2], [990, 2], [2, 990]])
    grad_out = torch.randn(4, 2, 3).double()
    piece = reduced([(indices[:2], grad_out[:2]), (indices[2:], grad_out[2:])], weight)
    assert piece.rows.tolist() == [2, 7, 990]
    assert piece.moments.mean.shape == (3, 3)
    vectors = F.one_hot(indices, 1000)[..., [2, 7, 990]].double()
    gradients = torch.einsum("btv,bte->bve", vectors, grad_out)
    expected = reference.gradient_statistics(gradients, weight=weight[[2, 7, 990]])
    for name in ("sum_inv_sigma", "sum_squared_batch_gradient", "sum_abs_weight_gradient"):
        assert piece.stats[name] == pytest.approx(expected[name], rel=1e-12)  # sums in another order


def test_a_table_that_a_later_chunk_multiplies_with_becomes_whole() -> None:
    torch.manual_seed(0)
    weight, indices = torch.randn(9, 3).double(), torch.tensor([[7, 2], [2, 2]])
    rows, x, outputs = torch.randn(2, 2, 3).double(), torch.randn(2, 3).double(), torch.randn(2, 9).double()
    piece = reduced([(indices, rows), (x, outputs), (indices, rows)], weight)
    looked_up = torch.einsum("btv,bte->bve", F.one_hot(indices, 9).double(), rows)
    gradients = torch.cat([looked_up, torch.einsum("bv,be->bve", outputs, x), looked_up])
    assert piece.rows is None
    assert piece.stats["sum_inv_sigma"] == pytest.approx(
        reference.gradient_statistics(gradients)["sum_inv_sigma"], rel=1e-12
    )


# ---- calls without a gradient ----


class TwoUses(nn.Module):
    """Calls one weight twice; the loss may use both, the first only, or none."""

    def __init__(self, used: str) -> None:
        super().__init__()
        self.shared, self.head = nn.Linear(5, 5), nn.Linear(5, 3)
        self.used = used

    def forward(self, x: Tensor) -> Tensor:
        first = F.gelu(self.shared(x))
        second = F.gelu(self.shared(first))
        return self.head({"both": second, "first": first, "none": x}[self.used])


@pytest.mark.parametrize("used", ["both", "first"])
def test_a_call_that_the_loss_does_not_use_adds_nothing(used: str) -> None:
    model = TwoUses(used).double()
    batch = torch.randn(B, 5).double(), torch.arange(B) % 3
    exact = reference.per_sample_gradients(model, batch, ["shared.weight"])["shared.weight"]
    (layer, _) = score(model, batch).layers
    assert layer.trainability == pytest.approx(trainability_of(exact), rel=1e-9)


def test_a_weight_that_the_loss_does_not_use_is_skipped() -> None:
    result = score(TwoUses("none"), (torch.randn(B, 5), torch.arange(B) % 3))
    assert [layer.name for layer in result.layers] == ["head.weight"]
    assert {skip.name: skip.reason for skip in result.skipped}["shared.weight"].startswith("no gradient reached it")


# ---- the interval ----


def test_the_pieces_of_one_parameter_are_one_layer() -> None:
    model, batch = NETWORKS["disjoint_parts"].build()
    layer = score(model, batch).layers[0]
    assert (layer.name, layer.n_weights) == ("weight", 24 * 8)


def test_an_interval_without_layers_says_so() -> None:
    model, batch = wide(8)
    with pytest.raises(NothingObservedError, match="None of the 2 observable weights lies in the percentile bins"):
        score(model, batch, layers=(6, 9))


def test_a_layer_without_variance_is_left_out_with_a_warning() -> None:
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 4), nn.Dropout(0.0), nn.Linear(4, 3)).double()
    with torch.no_grad():
        model[2].weight.zero_()
        model[4].weight.zero_()  # no gradient flows further up
    batch = torch.randn(B, 5).double(), torch.arange(B) % 3
    with pytest.warns(
        LswagWarning, match=r"no gradient varies over the samples in 2 of 3 layers \(0.weight, 2.weight\)"
    ):
        result = score(model, batch)
    assert [layer.trainability for layer in result.layers[:2]] == [-math.inf] * 2
    assert [layer.n_zero_variance for layer in result.layers[:2]] == [20, 16]
    assert result.value == result.layers[2].trainability * result.layers[2].cardinality
