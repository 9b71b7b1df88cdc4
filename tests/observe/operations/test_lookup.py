"""Look-ups of rows: torch's outputs, and the gradients of single samples in the rows that occur."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import lswag_fast
from lswag_fast import reference
from lswag_fast.observe.operations.lookup import LOOKUP, one_hot
from lswag_fast.observe.samples.axis import SampleAxis
from support.observing import observed
from support.per_sample import Called, assert_per_sample

B, T, V, E = 5, 4, 9, 3
INDICES = torch.randint(0, V - 2, (B, T), generator=torch.Generator().manual_seed(0))  # two rows never occur


def table(*shape: int) -> Tensor:
    return torch.randn(shape or (V, E), generator=torch.Generator().manual_seed(1))


CALLS = {
    "embedding": F.embedding,
    "torch": lambda ids, w: torch.embedding(w, ids),
    "keywords": lambda ids, w: F.embedding(input=ids, weight=w, sparse=False),
    "padding": lambda ids, w: F.embedding(ids, w, padding_idx=int(INDICES[0, 0])),
    "padding from the end": lambda ids, w: F.embedding(ids, w, padding_idx=int(INDICES[0, 0]) - V),
    "padding, torch": lambda ids, w: torch.embedding(w, ids, int(INDICES[0, 0])),
    "one index": lambda ids, w: F.embedding(ids[:, 0], w),
    "32 bits": lambda ids, w: F.embedding(ids.int(), w),
    "time first": lambda ids, w: F.embedding(ids.t(), w).transpose(0, 1),
    "twice": lambda ids, w: F.embedding(ids, w) * F.embedding(ids.flip(1), w),
    "tied": lambda ids, w: F.embedding(ids, w).tanh() @ w.t(),
    "tied, the transpose first": lambda ids, w: F.linear(F.one_hot(ids, V).to(w.dtype), w.t()) * F.embedding(ids, w),
    "a slice": lambda ids, w: F.embedding(ids % 4, w[2:6]),
    "bag": lambda ids, w: F.embedding_bag(ids, w),
    "bag, sum": lambda ids, w: F.embedding_bag(ids, w, mode="sum"),
    "bag, weighted": lambda ids, w: F.embedding_bag(
        ids, w, mode="sum", per_sample_weights=torch.linspace(0, 1, ids.numel(), dtype=w.dtype).view(ids.shape)
    ),
}


@pytest.mark.parametrize("function", CALLS.values(), ids=CALLS)
def test_outputs_and_per_sample_gradients_are_those_of_torch(function: Callable[..., Any]) -> None:
    assert_per_sample(Called(function, table()), INDICES, B, ["a"])


DECLINED = {
    "scaled by frequency": (lambda ids, w: F.embedding(ids, w, scale_grad_by_freq=True), "scales their gradients"),
    "largest values": (lambda ids, w: F.embedding_bag(ids, w, mode="max"), "bags"),
    "bags of several sizes": (
        lambda ids, w: F.embedding_bag(ids.flatten(), w, offsets=torch.arange(len(ids)) * T), "bags"
    ),
    "padding in a bag": (lambda ids, w: F.embedding_bag(ids, w, padding_idx=1), "bags"),
    "row 0 is the padding": (lambda ids, w: F.embedding_bag(ids, w, padding_idx=0), "bags"),
    "row 0 is the padding of sums": (lambda ids, w: F.embedding_bag(ids, w, mode="sum", padding_idx=0), "bags"),
}  # fmt: skip


@pytest.mark.parametrize(("function", "words"), DECLINED.values(), ids=DECLINED)
def test_what_is_not_exact_is_named(function: Callable[..., Any], words: str) -> None:
    observation = assert_per_sample(Called(function, table()), INDICES, B, [])
    assert words in {skip.name: skip.reason for skip in observation.skipped}["a"]


def test_numbers_of_positions_are_no_samples_even_where_there_are_as_many() -> None:
    def with_positions(x: Tensor, positions: Tensor) -> Tensor:
        return x + F.embedding(torch.arange(x.shape[1]), positions)

    model = Called(with_positions, table(B, E))
    observation = assert_per_sample(model, torch.randn(B, B, E), B, [])
    assert "not of samples" in observation.skipped[0].reason


def test_any_axis_may_hold_the_samples_but_never_for_certain() -> None:
    candidates = LOOKUP.sample_axes(torch.zeros(B, T, dtype=torch.long), B)
    assert candidates.options == (SampleAxis(0),)
    assert not candidates.certain


def test_a_computed_table_gets_its_gradient() -> None:
    weight = table().requires_grad_()
    out = LOOKUP.forward(LOOKUP.bind(INDICES, weight))
    grad_out = torch.randn_like(out)
    (expected,) = torch.autograd.grad(out, weight, grad_out)
    call = LOOKUP.bind(INDICES, weight.detach())
    assert LOOKUP.gradients(call, grad_out, (False, False, False)) == (None, None, None)
    torch.testing.assert_close(LOOKUP.gradients(call, grad_out, (False, True, False))[1], expected)
    assert LOOKUP.macs(call, out.shape) == 0


def test_autocast_leaves_the_rows_as_they_are() -> None:
    model = Classifier()
    with torch.autocast("cpu", torch.bfloat16):
        _, rows = observed(model.table, INDICES, B)
    assert rows.dtype == torch.float32


def test_rows_that_do_not_occur_are_left_out_of_the_vectors() -> None:
    rows = torch.tensor([2, 5, 7])
    vectors = one_hot(torch.tensor([[7, 2], [5, 5]]), torch.float32, V, rows)
    assert vectors.argmax(-1).tolist() == [[2, 0], [1, 1]]
    assert torch.equal(vectors.sum(-1), torch.ones(2, 2))
    assert torch.equal(one_hot(torch.tensor([7, 2]), torch.float64, V), torch.eye(V, dtype=torch.float64)[[7, 2]])


class Classifier(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(V, E)
        self.head = torch.nn.Linear(E, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(F.relu(self.table(ids)).mean(1))


@pytest.mark.parametrize("options", [{}, {"row_fraction": 0.5}, {"chunk_size": 2}])
def test_the_statistics_are_those_of_all_samples_over_the_rows_that_occur(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model, batch = Classifier().double(), (INDICES, torch.arange(B) % 3)
    expected = reference.per_sample_gradients(model, batch, ["table.weight"])["table.weight"]
    rows = INDICES.unique()
    assert len(rows) < V
    found = lswag_fast.score(model, batch, pattern_samples=2, **options).layers[0]
    assert (found.name, found.kind, found.n_weights) == ("table.weight", "embedding", V * E)
    statistics = reference.gradient_statistics(expected[:, rows])
    assert found.trainability == pytest.approx(math.log(statistics["sum_inv_sigma"]), rel=1e-9)


@pytest.mark.parametrize("proxy", ["lswag", "snip", "xi_gsnr"])
def test_chunks_count_the_rows_that_occur_in_any_of_them(proxy: str) -> None:
    torch.manual_seed(0)
    model, batch = Classifier().double(), (INDICES, torch.arange(B) % 3)
    whole, *chunked = (
        lswag_fast.score(model, batch, proxy=proxy, pattern_samples=2, **options)
        for options in ({}, {"chunk_size": 2}, {"chunk_size": 3})
    )
    for found in chunked:
        assert found.value == pytest.approx(whole.value, rel=1e-12)  # sums over samples in another order
        assert found.layers[0].n_zero_variance == whole.layers[0].n_zero_variance


def test_proxies_of_the_batch_gradient_take_the_rows_with_their_weights() -> None:
    torch.manual_seed(0)
    model, batch = Classifier().double(), (INDICES, torch.arange(B) % 3)
    found = lswag_fast.score_many(model, batch, proxies=["snip", "fisher", "grad_norm", "zico"], pattern_samples=2)
    gradients = reference.per_sample_gradients(model, batch, ["table.weight", "head.weight"])
    parameters = dict(model.named_parameters())
    mean = {name: g.sum(0) for name, g in gradients.items()}
    snip = sum(float((mean[name] * parameters[name]).abs().sum()) for name in mean)
    assert found["snip"].value == pytest.approx(snip / B, rel=1e-9)
