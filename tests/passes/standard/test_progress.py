"""What grows over the chunks of a batch: the numbers are those of the whole batch, or the chunks are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lswag_fast
from lswag_fast import Score, reference
from lswag_fast.errors import InputError

WIDTH, HIDDEN = 6, 12


class Experts(nn.Module):
    """Gives each row to the expert that its first three features choose; every expert is called, be it with no row."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, WIDTH)) for _ in range(3)
        )
        self.head = nn.Linear(WIDTH, 3)
        self.longest = 100

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(0, -2)
        chosen, out = rows[:, :3].argmax(1), torch.zeros_like(rows)
        for number, expert in enumerate(self.experts):
            (places,) = torch.where(chosen == number)
            if len(x) > self.longest:  # as a sort by the expert may that is not stable
                places = places.flip(0)
            out.index_add_(0, places, expert(rows[places]))
        out = out.view_as(x)
        return self.head(out if x.dim() == 2 else out.mean(1))


def routed(route: Tensor, seed: int = 0) -> tuple[Experts, Tensor, Tensor]:
    """Experts, and samples (*route.shape, WIDTH) of which each row goes where `route` says."""
    torch.manual_seed(seed)
    x = torch.randn(*route.shape, WIDTH, dtype=torch.float64)
    x[..., :3] = -x[..., :3].abs()
    x.scatter_(-1, route[..., None], x[..., 3:4].abs() + 0.1)
    return Experts().double(), x, torch.arange(len(x)) % 3


def true_cardinality(model: Any, x: Tensor, route: Tensor, expert: int, n_samples: int) -> int:
    """Patterns of an expert's neurons: a channel of the k-th row that a sample gives it, off where there is none."""
    rows, route = x.reshape(len(x), -1, WIDTH), route.reshape(len(x), -1)
    most = int((route == expert).sum(1).max())
    on = torch.zeros(len(x), most, HIDDEN, dtype=torch.bool)
    for b, sample in enumerate(rows):
        given = sample[route[b] == expert]
        on[b, : len(given)] = model.experts[expert][0](given) > 0
    return len({tuple(column) for column in on[:n_samples].flatten(1).T.tolist()})


ONE_ROW = torch.tensor([0, 0, 1, 1, 0, 0, 0, 0, 2, 2, 0, 1, 2, 0, 1, 2])  # expert 2 gets none of the first samples
TOKENS = torch.tensor([[0, 0, 0, 0], [1, 0, 1, 1], [2, 0, 2, 2], [2, 0, 1, 2], [1, 1, 1, 1], [0, 2, 0, 0],
                       [0, 0, 0, 1], [1, 0, 0, 0]])  # fmt: skip


def layers(score: Score) -> list[tuple[str, int | None, str | None]]:
    return [(layer.name, layer.cardinality, layer.activation) for layer in score.layers]


@pytest.mark.parametrize("chunk_size", [None, 2, 3, 4])
@pytest.mark.parametrize(("route", "n_samples"), [(ONE_ROW, 4), (ONE_ROW, 6), (ONE_ROW, 16), (TOKENS, 3), (TOKENS, 8)])
def test_experts_have_the_patterns_of_the_whole_batch(route: Tensor, n_samples: int, chunk_size: int | None) -> None:
    model, x, y = routed(route)
    whole = lswag_fast.score(model, (x, y), pattern_samples=n_samples)
    score = lswag_fast.score(model, (x, y), pattern_samples=n_samples, chunk_size=chunk_size)
    for expert in range(3):
        expected = true_cardinality(model, x, route, expert, n_samples)
        found = {la.cardinality for la in score.layers if la.name.startswith(f"experts.{expert}.")}
        assert found == {expected}, expert
    assert layers(score) == layers(whole)
    assert score.value == pytest.approx(whole.value, rel=1e-9)  # the order of float64 sums
    assert score.skipped == whole.skipped
    swaps = [
        lswag_fast.score(model, (x, y), proxy="swap", pattern_samples=n_samples, chunk_size=c).value
        for c in (None, chunk_size)
    ]
    assert swaps[0] == swaps[1]


@pytest.mark.parametrize("chunk_size", [None, 4])
def test_so_are_the_gradients_also_behind_the_experts(chunk_size: int | None) -> None:
    """The probe that finds the samples there gives an expert two rows once and one row then, which round otherwise."""
    model, x, y = routed(ONE_ROW)
    found = {la.name: la.trainability for la in lswag_fast.score(model, (x, y), chunk_size=chunk_size).layers}
    names = [name for name, parameter in model.named_parameters() if parameter.dim() == 2]
    losses = F.cross_entropy(model(x), y, reduction="none")
    for name in names:
        weight = model.get_parameter(name)
        exact = [torch.autograd.grad(loss, weight, retain_graph=True)[0] for loss in losses]
        # 1e-9: sums of a few hundred float64 numbers in another order
        assert found.pop(name) == pytest.approx(reference.trainability(torch.stack(exact)), rel=1e-9), name
    assert found == {}


@pytest.mark.parametrize("chunk_size", [None, 2, 4])
def test_the_order_in_which_an_expert_gets_its_rows_does_not_matter(chunk_size: int | None) -> None:
    model, x, y = routed(TOKENS)
    model.longest = 2
    score = lswag_fast.score(model, (x, y), pattern_samples=8, chunk_size=chunk_size)
    for layer in score.layers[:-1]:
        assert layer.cardinality == true_cardinality(model, x, TOKENS, int(layer.name.split(".")[1]), 8), layer.name


@pytest.mark.parametrize("route", [ONE_ROW, TOKENS])
def test_so_has_a_list_of_batches(route: Tensor) -> None:
    model, x, y = routed(route)
    batches = [(x[start : start + 4], y[start : start + 4]) for start in range(0, len(x), 4)]
    score = lswag_fast.score(model, batches, pattern_samples=8)
    assert layers(score) == layers(lswag_fast.score(model, (x, y), pattern_samples=8))


def test_the_samples_of_auto_are_those_of_the_whole_batch() -> None:
    model, x, y = routed(TOKENS.repeat(3, 1))
    assert layers(lswag_fast.score(model, (x, y), chunk_size=2)) == layers(lswag_fast.score(model, (x, y)))


def test_an_expert_without_any_row_is_skipped_as_in_the_whole_batch() -> None:
    model, x, y = routed(ONE_ROW % 2)
    with pytest.warns(lswag_fast.LswagWarning, match="no gradient varies"):
        whole, score = (lswag_fast.score(model, (x, y), pattern_samples=8, chunk_size=c) for c in (None, 4))
    assert layers(score) == layers(whole)
    assert [skip.name for skip in score.skipped] == [skip.name for skip in whole.skipped] == ["relu@7"]


# ---- what no chunk can tell ----


class Net(nn.Module):
    """A hidden layer, whose forward the classes below differ in."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.hidden, self.side, self.head = nn.Linear(4, width), nn.Linear(4, 3), nn.Linear(width, 3)


class Trims(Net):
    """Cuts the samples to the longest of the batch."""

    def forward(self, x: Tensor) -> Tensor:
        lengths = x[:, 0, 0].round()
        x = x[:, : int(lengths.max())]
        inside = torch.arange(x.shape[1]) < lengths[:, None]
        return self.head((F.relu(self.hidden(x)) * inside[..., None]).sum(1))


class Chooses(Net):
    """Another activation for other samples."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.mean(1)
        return self.head((F.relu if x.sum() > 18 else F.gelu)(self.hidden(x)))


class Loses(Net):
    """Gives rows to a layer so that nobody can follow whose they are, unless every sample has one."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.mean(1)
        turned = x.flipud().flipud()
        (kept,) = torch.where(turned[:, 0] > 0.3)
        out = torch.zeros(len(x), 6, dtype=x.dtype).index_add(0, kept, F.relu(self.hidden(turned[kept])))
        return self.side(x) + self.head(out)


class Detaches(Net):
    """No gradient goes back to a layer for some samples."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.mean(1)
        side = self.side(x)
        return self.head(F.relu(self.hidden(x))) + (side if x.sum() > 18 else side.detach())


def halves() -> tuple[Tensor, Tensor]:
    """Samples whose first feature is 5 in the first half, and from 0 to 2 in the second one."""
    torch.manual_seed(1)
    x = torch.rand(8, 5, 4, dtype=torch.float64)
    x[:, :, 0] = torch.tensor([5.0] * 4 + [2.0, 1.0, 2.0, 0.0])[:, None]
    return x, torch.arange(8) % 3


@pytest.mark.parametrize(
    ("make", "proxy", "said"),
    [
        (Trims, "lswag", r"relu@1 has (30|12) neurons in one of them and (30|12) in another"),
        (Trims, "swap", r"relu@1 has (30|12) neurons in one of them and (30|12) in another"),
        (lambda: Trims(1), "lswag", r"mul@2 has [52] neurons in one of them and [52] in another"),
        (Chooses, "swap", r"other calls for other samples \(gelu@1, relu@1 not in all\)"),
        (Loses, "lswag", r"hidden.weight can be observed in some and not in others \(cannot tell where the samples"),
        (Loses, "swap", r"relu@1 can be observed in some and not in others \(activation of shape \(3, 6\).*no axis"),
        (Detaches, "lswag", r"side.weight can be observed in some and not in others \(no gradient reached it"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_turned", [False, True])
def test_chunks_that_differ_are_refused(make: Callable[[], nn.Module], proxy: str, said: str, is_turned: bool) -> None:
    x, y = halves()
    if is_turned:
        x = x.roll(4, 0)
    options: dict[str, Any] = {"proxy": proxy, "pattern_samples": 4}  # those of the first chunk: all chunks count
    for batch, chunk_size in (((x, y), 4), ([(x[:4], y[:4]), (x[4:], y[4:])], None)):
        with pytest.raises(InputError, match=f"^chunks and lists of batches need.*{said}.*; score one batch, without"):
            lswag_fast.score(make().double(), batch, chunk_size=chunk_size, **options)
