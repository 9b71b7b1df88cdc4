"""Marks of calls that bring samples together: where they go, and where they do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lswag_fast.observe.samples.call import Certainty
from support.observing import under_mode

B = 4


class Runs(nn.Module):
    """A function of the batch."""

    def __init__(self, body: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Any:
        return self.body(x)


def calls(body: Callable[[Tensor], Tensor]) -> dict[Certainty, list[str]]:
    """What the observer says of the output of a function of the batch (B, 5)."""
    mode, out = under_mode(Runs(body), torch.randn(B, 5), B)
    return mode.flow.mixing_calls([out])


def _into(target: Tensor, write: Callable[[Tensor, Tensor], object], value: Tensor) -> Tensor:
    write(target, value)
    return target


@pytest.mark.parametrize(
    "body",
    [
        lambda x: x - x.mean(0),
        lambda x: x - x.mean(0).detach(),
        lambda x: x - x.mean(0).data,
        lambda x: torch.cat([x, x.mean(0, keepdim=True).expand_as(x)], 1),
        lambda x: x + _into(torch.zeros(5), Tensor.copy_, x.mean(0)),
        lambda x: x + _into(torch.zeros(2, 5), lambda t, v: t[0].add_(v), x.mean(0))[0],
        lambda x: x + _into(torch.zeros(2, 5), lambda t, v: t.__setitem__(1, v), x.mean(0)).sum(0),
        lambda x: nn.functional.linear(x, torch.eye(5) * x.mean(0)),
        lambda x: nn.functional.linear(x - x.mean(0), nn.Parameter(torch.eye(5))),
    ],
)
def test_a_mark_follows_the_values(body: Callable[[Tensor], Tensor]) -> None:
    assert "mean" in calls(body)[Certainty.SURE]


@pytest.mark.parametrize(
    "body",
    [
        lambda x: x + torch.zeros_like(x.mean(0)),
        lambda x: x + x.mean(0).new_ones(5),
        lambda x: x.type_as(x.mean(0)),
        lambda x: x + torch.ones(1).expand_as(x.mean(0)),
        lambda x: x[:, torch.randperm(5)] * (x.mean(0).argmax() + 1),
        lambda x: (x.mean(0), x)[1],
    ],
)
def test_shapes_and_whole_numbers_carry_none(body: Callable[[Tensor], Tensor]) -> None:
    assert calls(body) == {}


@pytest.mark.parametrize("read", [Tensor.item, float, Tensor.tolist, Tensor.numpy])
def test_numbers_that_python_reads_leave_it_open(read: Callable[[Tensor], Any]) -> None:
    assert calls(lambda x: x * float(read(x.mean()))) == {Certainty.OPEN: ["mean"]}


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (torch.fliplr, "fliplr"),
        (lambda x: x.view(2, 2, 5).view(B, 5), "view"),
        (lambda x: torch.stack(list(x)), "unbind"),
        (lambda x: torch.zeros(B, 5).index_add(0, torch.arange(B), x), "index_add"),
    ],
)
def test_a_lost_trail_leaves_it_open(body: Callable[[Tensor], Tensor], name: str) -> None:
    assert name in calls(body)[Certainty.OPEN]


def test_an_output_of_no_known_origin_is_open() -> None:
    made = torch.randn(B, 5)
    assert calls(lambda x: made) == {Certainty.OPEN: ["a call that nobody follows"]}
