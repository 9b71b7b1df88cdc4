"""Rows that go to one matrix each: the outputs of torch, and the gradients of single samples of a loop over experts."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lswag_fast
from lswag_fast import reference
from support.observing import needs_grouped_products, observed
from support.oracle import trainability_of
from support.per_sample import Called, observed_gradients

B, T, WIDTH, HIDDEN, N_EXPERTS, TOP = 5, 4, 16, 8, 4, 2


class Experts(nn.Module):
    """A mixture of experts: every token goes to the two that its features choose; by groups of rows, or in a loop."""

    def __init__(self, grouped: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = nn.Linear(WIDTH, WIDTH)
        self.up = nn.Parameter(torch.randn(N_EXPERTS, WIDTH, HIDDEN) / 4)
        self.down = nn.Parameter(torch.randn(N_EXPERTS, WIDTH, HIDDEN) / 4)  # used transposed
        self.head = nn.Linear(WIDTH, 3)
        self.grouped = grouped

    def forward(self, x: Tensor) -> Tensor:
        tokens = F.relu(self.inner(x)).reshape(-1, WIDTH)
        chosen = x.reshape(-1, WIDTH)[:, :N_EXPERTS].topk(TOP).indices.reshape(-1)
        numbers, order = chosen.sort(stable=True)
        rows = tokens[order // TOP]
        ends = torch.bincount(numbers, minlength=N_EXPERTS).cumsum(0).int()
        out = self._product(F.silu(self._product(rows, self.up, ends)), self.down.transpose(1, 2), ends)
        mixed = torch.zeros_like(tokens).index_add(0, order // TOP, out)
        return self.head((tokens + mixed).view(x.shape).mean(1))

    def _product(self, rows: Tensor, matrices: Tensor, ends: Tensor) -> Tensor:
        if self.grouped:
            return torch._grouped_mm(rows, matrices, offs=ends)
        parts = rows.tensor_split(ends.tolist()[:-1])
        return torch.cat([part @ matrix for part, matrix in zip(parts, matrices, strict=True)])


def batch() -> tuple[Tensor, Tensor]:
    x = torch.randn(B, T, WIDTH, generator=torch.Generator().manual_seed(1))
    x[..., 1] -= 9  # expert 1 is never chosen
    return x, torch.arange(B) % 3


@needs_grouped_products
def test_statistics_are_those_of_per_sample_gradients() -> None:
    names = ["inner.weight", "up", "down", "head.weight"]
    x, targets = batch()
    exact = reference.per_sample_gradients(Experts(grouped=False).double(), (x.double(), targets), names)
    found = {layer.name: layer for layer in lswag_fast.score(Experts(grouped=True), batch(), pattern_samples=2).layers}
    assert found.keys() == set(names)
    for name in names:  # float32, as torch has no such product in float64
        assert found[name].trainability == pytest.approx(trainability_of(exact[name]), abs=1e-4), name


@needs_grouped_products
def test_outputs_are_those_of_torch_and_experts_without_rows_have_no_piece() -> None:
    model, (x, _) = Experts(grouped=True), batch()
    observation, outputs = observed(model, x, B)
    torch.testing.assert_close(outputs, model(x))
    pieces = [weight.piece.offset // (WIDTH * HIDDEN) for weight in observation.weights if weight.name == "up"]
    assert pieces == [0, 2, 3]


@needs_grouped_products
def test_rows_behind_the_last_group_give_zeros() -> None:
    ends = torch.tensor([2, 2, 4], dtype=torch.int32)
    model = Called(lambda x, w: torch._grouped_mm(x, w, offs=ends)[:4], torch.randn(3, 16, 8))
    x = torch.randn(6, 16)
    _, outputs = observed(model, x, 6)
    torch.testing.assert_close(outputs, model(x))


@needs_grouped_products
def test_a_batch_of_products_needs_no_ends() -> None:
    model = Called(lambda x, w: torch._grouped_mm(x.transpose(0, 1), w).transpose(0, 1), torch.randn(3, 16, 8))
    found, _, outputs = observed_gradients(model, torch.randn(B, 3, 16), B)
    assert found["a"].shape == (B, 3, 16, 8)
    assert outputs.shape == (B, 3, 8)


@needs_grouped_products
def test_a_bias_is_not_known() -> None:
    def product(x: Tensor, w: Tensor) -> Tensor:
        return torch._grouped_mm(x, w, offs=torch.tensor([2, B], dtype=torch.int32), out_dtype=torch.float32)

    observation, _ = observed(Called(product, torch.randn(2, 16, 8)), torch.randn(B, 16), B)
    assert [skip.name for skip in observation.skipped] == ["a"]
