"""Sorting the calls of the torch API: which handler gets them, in which order they are numbered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast.observe import dispatch
from lswag_fast.observe.operations import OPERATIONS
from lswag_fast.observe.samples.axis import SampleAxis

B = 3


class Log(dispatch.CallMode):
    """Writes down what each handler gets."""

    def __init__(self) -> None:
        super().__init__(n_samples=B)
        self.seen: list[tuple[int, str]] = []
        self.axes: list[tuple[SampleAxis, ...]] = []

    def on_weight_call(self, index, operation, call, candidates, run) -> Tensor:
        self.seen.append((index, operation.kind))
        self.axes.append(candidates.options)
        return run()

    def on_activation(self, index: int, func: Callable[..., Any], out: Tensor) -> None:
        self.seen.append((index, func.__name__))


def logged(run: Callable[[], Any]) -> Log:
    with Log() as mode:
        run()
    return mode


def test_weight_and_activation_calls_are_numbered_together_and_others_not_at_all() -> None:
    x, weight, kernel = torch.randn(B, 4), torch.randn(4, 4), torch.randn(4, 4, 1)
    log = logged(lambda: torch.conv1d(F.gelu(F.linear(x, weight)).exp()[:, :, None], kernel).relu())
    assert log.seen == [(0, "linear"), (1, "gelu"), (2, "conv1d"), (3, "relu")]
    assert log.n_calls == 4


def test_the_linear_calls_inside_attention_are_seen() -> None:
    attention, x = nn.MultiheadAttention(4, 2), torch.randn(7, B, 4)
    log = logged(lambda: attention(x, x, x))
    assert log.seen == [(0, "linear"), (1, "linear")]
    assert log.axes == [(SampleAxis(1),), (SampleAxis(0, 7, 1),)]


def test_an_operation_may_decline_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry for `matmul` would take products with a parameter only."""

    def bind(x: Tensor, weight: Tensor):
        return OPERATIONS[F.linear].bind(x, weight.t()) if isinstance(weight, nn.Parameter) else None

    monkeypatch.setitem(OPERATIONS, torch.matmul, replace(OPERATIONS[F.linear], kind="matmul", bind=bind))
    x, weight = torch.randn(B, 4), nn.Parameter(torch.randn(4, 5))
    log = logged(lambda: torch.matmul(torch.matmul(x, weight), torch.randn(5, 2)))
    assert log.seen == [(0, "matmul")]
