"""The share of a network that a pass saw: counted, said, and refused where it is too little."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

import lswag_fast
from lswag_fast.errors import InputError, LowCoverageError, LswagWarning
from lswag_fast.passes.standard.coverage import Coverage

B = 6


class Halves(nn.Module):
    """Of 128 elements 64 are in a matrix that is used as none."""

    def __init__(self) -> None:
        super().__init__()
        self.seen, self.unseen = nn.Linear(8, 8, bias=False), nn.Parameter(torch.randn(8, 8))
        self.scale = nn.Parameter(torch.ones(1, 8))  # a vector, however many axes it has

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.seen(x)) * self.scale + torch.linalg.norm(self.unseen)


def batch() -> tuple[Tensor, Tensor]:
    return torch.randn(B, 8), torch.arange(B) % 4


def test_what_is_missing_is_named_the_largest_first() -> None:
    coverage = Coverage({"a": 50, "b": 30, "c": 15, "d": 4, "e": 1}, dict.fromkeys("cdeb", "odd"))
    assert coverage.share == pytest.approx(0.5)
    assert coverage.describe() == (
        "50 % of the elements of the weight matrices were observed; the largest missing: b (30 %, odd), c (15 %, odd), "
        "d (4 %, odd) and 1 more"
    )


def test_what_is_not_whole_is_not_rounded_to_it() -> None:
    assert Coverage({"a": 100_000, "b": 1}, {"b": "odd"}).describe().startswith("99.9 %")
    assert Coverage({}, {}).share == 1.0


def test_a_score_says_it_and_warns_once() -> None:
    with pytest.warns(LswagWarning, match=r"only 50 % .* unseen \(50 %, used by linalg_norm") as caught:
        scores = lswag_fast.score_many(Halves(), batch(), proxies=["lswag", "snip", "nwot", "params"])
    assert len(caught) == 1
    assert [scores[name].coverage for name in ("lswag", "snip", "nwot", "params")] == [0.5, 0.5, None, None]


def test_too_little_is_an_error_of_the_proxies_of_gradients() -> None:
    scores = lswag_fast.score_many(Halves(), batch(), proxies=["lswag", "nwot"], min_coverage=0.6)
    assert "min_coverage is 0.6, but 50 %" in (scores["lswag"].error or "")
    assert scores["nwot"].error is None
    with pytest.raises(LowCoverageError, match=r"min_coverage is 0\.6"):
        lswag_fast.score(Halves(), batch(), min_coverage=0.6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lswag_fast.score(Halves(), batch(), min_coverage=0.5).coverage == 0.5
    with pytest.raises(InputError, match="min_coverage must lie in"):
        lswag_fast.ScoreOptions(min_coverage=1.5)


def test_a_computed_weight_stands_for_its_parameters() -> None:
    model = nn.Sequential(weight_norm(nn.Linear(8, 8)), nn.ReLU(), nn.Linear(8, 4))
    assert lswag_fast.score(model, batch()).coverage == 1.0


def test_frozen_weights_do_not_count() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
    model[0].requires_grad_(False)
    assert lswag_fast.score(model, batch()).coverage == 1.0


class Unused(nn.Module):
    """A second head whose output the loss does not use, or that is not even called."""

    def __init__(self, is_called: bool) -> None:
        super().__init__()
        self.body, self.aux = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
        self.is_called = is_called

    def forward(self, x: Tensor) -> Tensor:
        if self.is_called:
            self.aux(x)
        return F.relu(self.body(x))


def test_a_weight_that_is_not_called_is_missing_and_one_that_no_gradient_reaches_is_not() -> None:
    with pytest.warns(LswagWarning, match="only 50 %"):
        assert lswag_fast.score(Unused(is_called=False), batch()).coverage == 0.5
    result = lswag_fast.score(Unused(is_called=True), batch())
    assert result.coverage == 1.0
    assert [skip.name for skip in result.skipped] == ["aux.weight"]


def test_a_table_of_positions_is_no_weight_matrix() -> None:
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.positions, self.body = nn.Parameter(torch.randn(5, 8)), nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.body(F.relu(x[:, None] + self.positions)).mean(1)

    assert lswag_fast.score(Positions(), batch(), proxy="zico").coverage == 1.0


SCALED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "matmul": lambda x, w: x @ (2 * w),
    "transposed": lambda x, w: x @ (w.t() / 2).t(),
    "einsum": lambda x, w: torch.einsum("bi,io->bo", x, w * torch.ones(5, 9)),
    "bilinear": lambda x, w: F.bilinear(x, x[:, :1], (-w).t().unsqueeze(2)),
}


@pytest.mark.parametrize("function", SCALED.values(), ids=SCALED)
def test_a_scaled_weight_that_is_multiplied_with_features_is_no_table(function: Callable[..., Tensor]) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.head = nn.Parameter(torch.randn(5, 9)), nn.Linear(9, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(function(x, self.weight).relu())

    with pytest.warns(LswagWarning, match="the largest missing: weight"):
        found = lswag_fast.score(Net(), (torch.randn(6, 5), torch.arange(6) % 3), pattern_samples=2)
    assert found.coverage == 27 / (27 + 45)


class Uses(nn.Module):
    """A matrix of (T, D) or (O, I) beside the 32 elements of a head, used by a function of this and x (B, 8)."""

    def __init__(self, use: Callable[[nn.Module, Tensor], Tensor], shape: tuple[int, ...] = (8, 8)) -> None:
        super().__init__()
        self.matrix, self.head = nn.Parameter(torch.randn(shape)), nn.Linear(8, 4)
        self.table = nn.Embedding(5, 8)
        self.register_buffer("numbers", torch.arange(5))
        self.use = use

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.use(self, x)))


MULTIPLIED: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "mul": lambda m, x: (x[:, None, :] * m.matrix).sum(-1),
    "mul, the matrix first": lambda m, x: torch.mul(m.matrix, other=x[:, None, :]).sum(-1),
    "mul of a view": lambda m, x: (x[:, None, :] * m.matrix.t()).sum(-1),
    "mul of a slice": lambda m, x: (x[:, None, :] * m.matrix[None, :8]).sum(-1),
    "mul of a scaled one": lambda m, x: (x[:, None, :] * (m.matrix / 8**0.5)).sum(-1),
    "mul in place": lambda m, x: x[:, None, :].repeat(1, 8, 1).mul_(m.matrix).sum(-1),
    "div": lambda m, x: (x[:, None, :] / m.matrix.exp()).sum(-1),
    "addcmul": lambda m, x: torch.addcmul(x[:, None, :], x[:, None, :], m.matrix).sum(-1),
    "lerp": lambda m, x: torch.lerp(x[:, None, :], 2 * x[:, None, :], m.matrix).sum(-1),
    "rows that samples choose": lambda m, x: m.matrix[x.argmax(-1)],
    "rows that samples select": lambda m, x: m.matrix.index_select(0, x.argmax(-1)),
}


@pytest.mark.parametrize("use", MULTIPLIED.values(), ids=MULTIPLIED)
def test_a_matrix_that_some_call_multiplies_with_features_is_a_weight(use: Callable[[Any, Tensor], Tensor]) -> None:
    model = Uses(use)
    model.table = None
    with pytest.warns(LswagWarning, match=r"only 33\.3 % .* the largest missing: matrix \(66\.6 %, used by"):
        assert lswag_fast.score(model, batch(), proxy="zico").coverage == pytest.approx(32 / (32 + 64))
    with pytest.raises(LowCoverageError, match="matrix"):
        lswag_fast.score(model, batch(), proxy="zico", min_coverage=0.9)


def test_a_matrix_of_three_axes_that_is_multiplied_is_named_before_a_smaller_one_that_is_never_used() -> None:
    model = Uses(lambda m, x: (x[:, None, None, :] * m.matrix).sum((1, 3)), (3, 8, 8))
    with pytest.warns(LswagWarning, match=r"missing: matrix \(72\.7 %, used by mul.*\), table\.weight \(15\.1 %, not"):
        assert lswag_fast.score(model, batch(), proxy="zico").coverage == pytest.approx(32 / (32 + 192 + 40))


TABLES: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "added": lambda m, x: x[:, None] + m.matrix[:5],
    "scaled and added": lambda m, x: x[:, None] + torch.tensor(0.5) * (2 * m.matrix[:5]),
    "masked and added": lambda m, x: x[:, None] + m.matrix * (x > 0)[..., None],
    "added to what is scaled": lambda m, x: torch.addcmul(m.matrix, x[:, None], torch.ones(8, 1)),
    "chosen by positions": lambda m, x: x[:, None] + m.matrix[m.numbers],
    "selected by positions": lambda m, x: x[:, None] + torch.index_select(m.matrix, 0, torch.arange(5)),
    "looked up by positions": lambda m, x: x[:, None] + F.embedding(torch.arange(5)[None], m.matrix),
    "looked up for each sample": lambda m, x: x[:, None] + F.embedding(m.numbers.expand(len(x), 5), m.matrix),
    "looked up with a largest norm": lambda m, x: x[:, None] + F.embedding(m.numbers, m.matrix * 1.0, max_norm=9.0),
    "a layer, looked up": lambda m, x: x[:, None] + m.table(m.numbers) + m.matrix[0],
}


@pytest.mark.parametrize("use", TABLES.values(), ids=TABLES)
def test_a_table_of_positions_counts_in_no_way_of_writing_it(use: Callable[[Any, Tensor], Tensor]) -> None:
    model = Uses(lambda m, x: use(m, x).mean(1) + m.table(m.numbers).mean(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lswag_fast.score(model, batch(), proxy="zico").coverage == 1.0
        assert lswag_fast.score(model, batch(), proxy="zico", min_coverage=1.0).coverage == 1.0


def test_a_table_that_samples_look_up_counts_and_one_of_positions_that_is_a_weight_too() -> None:
    looked_up = Uses(lambda m, x: m.table(x.argmax(-1) % 5) + (x[:, None, :] * m.matrix).sum(-1))
    with pytest.warns(LswagWarning, match=r"missing: matrix \("):
        found = lswag_fast.score(looked_up, batch(), proxy="zico")
    assert found.coverage == pytest.approx((32 + 40) / (32 + 40 + 64))

    def tied(m: Any, x: Tensor) -> Tensor:
        return x + m.matrix[0] + m.table(m.numbers).mean(0) + F.linear(x, m.table.weight).mean(-1, keepdim=True)

    with pytest.warns(LswagWarning, match=r"missing: table.weight \("):
        found = lswag_fast.score(Uses(tied), batch(), proxy="zico")
    assert found.coverage == pytest.approx(32 / (32 + 40))


def test_biases_that_a_router_chooses_are_no_matrix() -> None:
    def routed(m: Any, x: Tensor) -> Tensor:
        experts = F.linear(x, m.table.weight)
        return x + m.matrix[experts.topk(1).indices[:, 0]] + m.matrix[experts.argmax(-1)]

    assert lswag_fast.score(Uses(routed), batch(), proxy="grad_norm").coverage == 1.0


@pytest.mark.parametrize("shape", [(8,), (1, 8), (1, 1, 8)])
def test_a_scale_is_no_matrix_however_many_axes_it_has(shape: tuple[int, ...]) -> None:
    model = Uses(lambda m, x: (x * m.matrix).reshape(x.shape) + m.table(m.numbers).mean(0), shape)
    assert lswag_fast.score(model, batch(), proxy="zico").coverage == 1.0
