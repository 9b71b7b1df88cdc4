"""A `loss_fn` that returns a scalar: which of them make a sample's loss depend on the labels of others."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast import score
from lswag_fast.errors import InputError, LswagWarning

B, CLASSES = 16, 3
SAYS = "loss_fn makes the samples depend on each other"
Own = Callable[[Any, Tensor], Tensor]


def _setup(n: int = B) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 12), nn.ReLU(), nn.Linear(12, CLASSES)).double()
    return model, (torch.randn(n, 10).double(), torch.arange(n) % CLASSES)


def _weighted(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs, targets, torch.tensor([1.0, 5.0, 0.1], dtype=outputs.dtype))


def _contrast(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs @ outputs.t(), torch.arange(len(outputs)), reduction="sum")


COUPLED: dict[str, tuple[Own, str]] = {
    "class weights": (_weighted, "mean"),
    "labels that are ignored": (lambda o, t: F.cross_entropy(o, t, ignore_index=2), "mean"),
    "divided by a number that counts": (
        lambda o, t: F.cross_entropy(o, t, reduction="sum") / (t > 0).sum(), "mean"
    ),
    "focal, by its largest": (
        lambda o, t: (lambda each: each.sum() / each.detach().max())(F.cross_entropy(o, t, reduction="none")), "sum"
    ),
    "samples against each other": (_contrast, "sum"),
}  # fmt: skip


@pytest.mark.parametrize("name", COUPLED)
def test_a_loss_that_is_not_that_of_its_parts_is_warned_of_once(name: str) -> None:
    loss_fn, reduction = COUPLED[name]
    model, batch = _setup()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        score(model, batch, loss_fn=loss_fn, loss_reduction=reduction)
    assert len([one for one in caught if SAYS in str(one.message)]) == 1


@pytest.mark.parametrize("name", COUPLED)
@pytest.mark.parametrize("size", [3, 8])
def test_it_is_refused_in_chunks(name: str, size: int) -> None:
    loss_fn, reduction = COUPLED[name]
    model, batch = _setup()
    with pytest.raises(InputError, match=f"chunk_size needs independent samples.*{SAYS}.*leave chunk_size out"):
        score(model, batch, loss_fn=loss_fn, loss_reduction=reduction, chunk_size=size)


def test_a_sample_s_gradient_is_its_share_of_the_gradient_of_the_mean() -> None:
    """Sixteen samples, three of them with a label: the mean times 16 gives each of the three 16/3 of its own."""
    model, (inputs, labels) = _setup()
    labels[3:] = -100
    alone = score(model, (inputs, labels), loss_fn=partial(F.cross_entropy, reduction="none"))
    with pytest.warns(LswagWarning, match=f"{SAYS}.*ignored labels.*ignore_index="):
        shared = score(model, (inputs, labels), loss_fn=F.cross_entropy, loss_reduction="mean")
    for one, other in zip(alone.layers, shared.layers, strict=True):
        assert other.trainability - one.trainability == pytest.approx(-math.log(B / 3), rel=1e-12)  # rounding alone


@dataclass
class Found:
    logits: Tensor
    balance: float


class Wrapped(nn.Module):
    def __init__(self, net: nn.Module, wrap: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.net, self.wrap = net, wrap

    def forward(self, x: Tensor) -> Any:
        return self.wrap(self.net(x))


@pytest.mark.parametrize(
    ("wrap", "logits_of"),
    [
        (lambda z: {"logits": z}, lambda found: found["logits"]),
        (lambda z: (z, None), lambda found: found[0]),
        (lambda z: Found(z, 1.0), lambda found: found.logits),
    ],
)
def test_the_model_may_return_anything(wrap: Callable[[Tensor], Any], logits_of: Callable[[Any], Tensor]) -> None:
    net, batch = _setup()
    with pytest.warns(LswagWarning, match=SAYS):
        score(Wrapped(net, wrap), batch, loss_fn=lambda o, t: _weighted(logits_of(o), t), loss_reduction="mean")


APART: dict[str, tuple[Own, str]] = {
    "a mean": (F.cross_entropy, "mean"),
    "a sum": (lambda o, t: F.cross_entropy(o, t, reduction="sum"), "sum"),
    "a sum with class weights": (
        lambda o, t: F.cross_entropy(o, t, torch.tensor([1.0, 5.0, 0.1]).double(), reduction="sum"), "sum"
    ),
    "a sum and a constant": (lambda o, t: F.cross_entropy(o, t, reduction="sum") + 100, "sum"),
    "a mean and a constant": (lambda o, t: F.cross_entropy(o, t) + 100, "mean"),
    "random numbers": (lambda o, t: F.cross_entropy(F.dropout(o), t), "mean"),
    "an axis squeezed away": (lambda o, t: F.cross_entropy(o.squeeze(), t), "mean"),
    "one size of batch alone": (lambda o, t: F.cross_entropy(o.view(B, -1), t), "mean"),
}  # fmt: skip


@pytest.mark.parametrize("name", APART)
@pytest.mark.parametrize("n", [3, B])
def test_a_loss_that_is_that_of_its_parts_or_does_not_tell_is_taken(name: str, n: int) -> None:
    loss_fn, reduction = APART[name]
    if n != B and name == "one size of batch alone":
        pytest.skip("of 16 samples only")
    model, batch = _setup(n)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score(model, batch, loss_fn=loss_fn, loss_reduction=reduction, pattern_samples=n)


def test_float32_and_many_samples_are_told_from_rounding() -> None:
    model, (inputs, labels) = _setup(200)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score(model.float(), (inputs.float(), labels), loss_fn=F.cross_entropy, loss_reduction="mean")
    labels[100] = -100
    with pytest.warns(LswagWarning, match=SAYS):
        score(model, (inputs.float(), labels), loss_fn=F.cross_entropy, loss_reduction="mean")


def test_the_random_numbers_of_the_caller_stay() -> None:
    model, batch = _setup()
    options: dict[str, Any] = {"loss_fn": APART["random numbers"][0], "loss_reduction": "mean", "seed": 3}
    torch.manual_seed(5)
    state = torch.get_rng_state()
    score(model, batch, **options)
    assert torch.equal(state, torch.get_rng_state())
