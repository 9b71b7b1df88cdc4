"""Marks of calls that bring samples together: where they go, and where they do not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lswag_fast import score
from lswag_fast.observe.samples import mixing, probe
from lswag_fast.observe.samples.call import Certainty
from networks import NETWORKS
from support.observing import under_mode
from support.oracle import SHOWN

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
        lambda x: (x.mean(0), x)[1],
    ],
)
def test_shapes_carry_none(body: Callable[[Tensor], Tensor]) -> None:
    assert calls(body) == {}


@pytest.mark.parametrize(
    "body",
    [
        lambda x: x * (x > 0).sum(),
        lambda x: x / (x > 0).long().sum(0).clamp(min=1).to(x),
        lambda x: x * (x[:, 0].argsort().unsqueeze(1) + 1),
        lambda x: x + torch.count_nonzero(x),
    ],
)
def test_a_whole_number_that_scales_is_as_sure_as_any(body: Callable[[Tensor], Tensor]) -> None:
    assert calls(body).keys() == {Certainty.SURE}


@pytest.mark.parametrize(
    "body",
    [
        lambda x: x * (x > x.mean(0)),
        lambda x: torch.where(x > x.mean(), x, 0.0),
        lambda x: x.masked_fill(torch.arange(B)[:, None] < (x > 0).sum(), 1.0),
        lambda x: x / torch.bincount((x[:, 0] > 0).long(), minlength=2)[0],
        lambda x: x[:, torch.arange(5) + (x > 9).sum()],
        lambda x: x.view(B, (x > 9).sum() + 5),
        lambda x: x[:, : int((x > 9).sum()) + 5],
        lambda x: x * (x[:, None] > x[None]).any(1),
    ],
)
def test_what_compares_chooses_or_sizes_leaves_it_open(body: Callable[[Tensor], Tensor]) -> None:
    assert calls(body).keys() == {Certainty.OPEN}


@pytest.mark.parametrize(
    "body",
    [lambda x: x * (x > 0), lambda x: x.masked_fill(x.isnan() | ~(x >= 1), 0.0), lambda x: x * (x > 0).sum(1)[:, None]],
)
def test_masks_of_each_sample_s_own_are_followed(body: Callable[[Tensor], Tensor]) -> None:
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


@pytest.mark.parametrize("name", ["cnn_eval", "vit", "lstm", "mixer_t_equals_2b", "dict_input"])
def test_a_network_without_such_calls_pays_nothing(name: str) -> None:
    """None of its calls is marked, nothing is carried on, and the model does not run once more."""
    model, batch = NETWORKS[name].build()
    watched = {mixing.MixedTensors.add, mixing.MixedTensors.carry, probe.depend_on_each_other}
    codes = {function.__code__ for function in watched}
    seen: list[str] = []

    def look(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code in codes:
            seen.append(frame.f_code.co_name)

    sys.setprofile(look)
    try:
        score(model, batch, loss_fn=NETWORKS[name].loss_fn, pattern_samples=SHOWN)
    finally:
        sys.setprofile(None)
    assert seen == []
