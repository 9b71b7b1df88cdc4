"""Gradients of the first samples only: `gradient_samples`."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lswag_fast
from lswag_fast import Score, ScoreOptions
from lswag_fast.errors import InputError

B, G, S = 16, 6, 12
PROXIES = ("lswag", "zico", "xi_gsnr", "snip", "grad_norm", "plain", "fisher")


class Counting(nn.Module):
    """A small CNN that notes its forwards."""

    def __init__(self, *, norm: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        norms = [nn.BatchNorm2d(6)] if norm else []
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3), *norms, nn.ReLU(), nn.Conv2d(6, 4, 3), nn.ReLU(), nn.Flatten())
        self.head = nn.Linear(4 * 16, 5)
        forwards: list[tuple[int, bool]] = []
        self.forwards = lambda: forwards  # out of reach of what gives the state of a model back
        self.register_forward_pre_hook(lambda _, inputs: forwards.append((len(inputs[0]), torch.is_grad_enabled())))

    def forward(self, x: Tensor) -> Tensor:
        """Score classes."""
        out: Tensor = self.head(self.body(x))
        return out


def batch(n: int = B) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 3, 8, 8, generator=generator), torch.arange(n) % 5


def first(n: int) -> tuple[Tensor, Tensor]:
    x, y = batch()
    return x[:n], y[:n]


def trainabilities(found: Score) -> list[float]:
    return [layer.trainability for layer in found.layers]


def cardinalities(found: Score) -> list[int | None]:
    return [layer.cardinality for layer in found.layers]


def test_gradients_are_those_of_the_first_samples_and_patterns_of_as_many_as_asked_for() -> None:
    model = Counting(norm=False)
    found = lswag_fast.score(model, batch(), gradient_samples=G, pattern_samples=S)
    assert model.forwards() == [(G, True), (S - G, False)]
    assert trainabilities(found) == trainabilities(lswag_fast.score(model, first(G), pattern_samples=G))
    assert cardinalities(found) == cardinalities(lswag_fast.score(model, batch(), pattern_samples=S))
    assert (found.n_samples, found.n_pattern_samples, found.n_gradient_samples) == (B, S, G)


def test_auto_patterns_take_what_the_largest_activation_asks_for() -> None:
    model = Counting(norm=False)
    found = lswag_fast.score(model, batch(), gradient_samples=G)
    wanted = math.ceil(math.log2(6 * 6 * 6)) + 2
    assert model.forwards() == [(G, True), (wanted - G, False)]
    whole = lswag_fast.score(model, batch())
    assert (found.n_pattern_samples, cardinalities(found)) == (wanted, cardinalities(whole))


@pytest.mark.parametrize("proxy", PROXIES)
def test_every_proxy_of_gradients_is_that_of_the_first_samples(proxy: str) -> None:
    model = Counting(norm=False)
    few = lswag_fast.score_many(model, batch(), proxies=PROXIES, gradient_samples=G, pattern_samples=G)
    assert few[proxy].value == lswag_fast.score_many(model, first(G), proxies=PROXIES, pattern_samples=G)[proxy].value
    assert model.forwards()[0] == (G, True)
    assert len(model.forwards()) == 2  # one for each call: no sample goes through for its patterns only


@pytest.mark.parametrize(
    ("n", "options", "expected"),
    [
        (B, {}, B),
        (B, {"fidelity": "exact"}, B),
        (B, {"fidelity": "fast"}, 4),
        (3, {"fidelity": "fast"}, 3),
        (B, {"fidelity": "fast", "gradient_samples": G}, G),
    ],
)
def test_what_a_fidelity_means(n: int, options: dict[str, Any], expected: int) -> None:
    found = lswag_fast.score(Counting(norm=False), batch(n), pattern_samples=3, **options)
    assert found.n_gradient_samples == expected
    alone = lswag_fast.score(Counting(norm=False), first(min(n, expected)), pattern_samples=3)
    assert found.value == alone.value


def test_codes_are_compared_among_all_samples() -> None:
    model = Counting(norm=False)
    scores = lswag_fast.score_many(model, batch(), proxies=["nwot", "lswag"], gradient_samples=G, pattern_samples=S)
    assert model.forwards() == [(G, True), (B, False)]
    assert scores["nwot"].value == lswag_fast.score(model, batch(), proxy="nwot").value
    alone = lswag_fast.score(model, batch(), gradient_samples=G, pattern_samples=S)
    assert scores["lswag"].value == alone.value


@pytest.mark.filterwarnings("ignore:a BatchNorm in train mode")
def test_in_train_mode_either_part_is_a_batch_of_its_own() -> None:
    model = Counting(norm=True).train()
    x, _ = batch()
    found = lswag_fast.score(model, batch(), gradient_samples=G, pattern_samples=S)
    alone = lswag_fast.score(model, first(G), pattern_samples=G)
    assert trainabilities(found) == trainabilities(alone)
    with torch.no_grad():
        codes = torch.cat([model.body[:3](part) > 0 for part in (x[:G], x[G:S])]).flatten(1)  # (S, V)
    assert found.layers[1].cardinality == len(torch.unique(codes, dim=1).T)


@pytest.mark.filterwarnings("ignore:a BatchNorm in train mode")
@pytest.mark.parametrize(
    ("n", "asked", "forwards"),
    [
        (B, G + 1, [(G, True), (2, False)]),  # one more sample for the patterns, and a batch has two
        (G + 1, G + 1, [(G, True), (G + 1, False)]),  # there is no second one
        (B, G, [(G, True)]),
        (B, G - 2, [(G, True)]),
        (G, G, [(G, True)]),
    ],
)
def test_no_part_has_one_sample(n: int, asked: int, forwards: list[tuple[int, bool]]) -> None:
    model = Counting(norm=True).train()
    lswag_fast.score(model, batch(n), gradient_samples=G, pattern_samples=asked)
    assert model.forwards() == forwards


def test_patterns_of_more_samples_than_a_word_has_bits() -> None:
    model = Counting(norm=False)
    found = lswag_fast.score(model, batch(80), gradient_samples=G, pattern_samples=70)
    assert model.forwards() == [(G, True), (80, False)]
    assert cardinalities(found) == cardinalities(lswag_fast.score(model, batch(80), pattern_samples=70))


def test_patterns_alone_need_no_part() -> None:
    model = Counting(norm=False)
    lswag_fast.score(model, batch(), proxy="swap", gradient_samples=G)
    assert model.forwards() == [(B, False)]


@pytest.mark.parametrize("chunk_size", [2, 3, 4])
def test_chunks_cut_the_samples_of_either_part(chunk_size: int) -> None:
    model = Counting(norm=False).double()  # a processor's float32 convolutions may round by the size of the batch
    samples = batch()[0].double(), batch()[1]
    options = ScoreOptions(gradient_samples=G, pattern_samples=S)
    whole = lswag_fast.score(model, samples, options=options)
    chunked = lswag_fast.score(model, samples, options=options, chunk_size=chunk_size)
    assert trainabilities(chunked) == pytest.approx(trainabilities(whole), rel=1e-9)  # another order of sums
    assert cardinalities(chunked) == cardinalities(whole)
    assert max(n for n, _ in model.forwards()[2:]) <= chunk_size + 1  # a last sample joins those before it


def test_micro_batches_are_those_of_the_samples_with_gradients() -> None:
    model = Counting(norm=False)
    few = lswag_fast.score(model, batch(), proxy="zico", gradient_samples=G, variance="microbatch:3")
    assert few.value == lswag_fast.score(model, first(G), proxy="zico", variance="microbatch:3").value


class Branching(nn.Module):
    """Takes another way for samples of another sign."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Linear(4, 8), nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Score classes."""
        layer = self.one if bool(x.mean() > 0) else self.two
        out: Tensor = self.head(torch.relu(layer(x)))
        return out


def test_a_model_that_takes_another_way_for_the_others_is_refused() -> None:
    x = torch.cat([torch.rand(G, 4), -torch.rand(B - G, 4)])
    with pytest.raises(InputError, match=r"other calls for other samples.*one\.weight"):
        lswag_fast.score(Branching(), (x, torch.arange(B) % 3), gradient_samples=G, pattern_samples=S)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"gradient_samples": 1},
            "gradient_samples must be an integer >= 2, since a variance needs two gradients, got 1",
        ),
        ({"gradient_samples": "all"}, "gradient_samples must be an integer >= 2, since .*, got 'all'"),
        ({"gradient_samples": B + 1}, f"gradient_samples is {B + 1}, the batch has {B} samples"),
        (
            {"gradient_samples": G, "variance": "microbatch:4"},
            rf"does not divide the {G} samples whose gradients are taken \(gradient_samples\)",
        ),
    ],
)
def test_what_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        lswag_fast.score(Counting(norm=False), batch(), **options)


def test_a_list_of_batches_is_refused() -> None:
    with pytest.raises(InputError, match="leave variance, chunk_size, gradient_samples and fidelity out"):
        lswag_fast.score(Counting(norm=False), [batch(4), batch(4)], proxy="zico", gradient_samples=2)
