"""Hooks on saved tensors are noticed, by torch's own word and by experiment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lswag_fast.observe.saved_tensors import _a_saved_tensor_has_hooks, hooks_are_active

LOOKS = [hooks_are_active, _a_saved_tensor_has_hooks]


@contextmanager
def nested() -> Iterator[None]:
    with torch.autograd.graph.save_on_cpu(), torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        yield


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize(
    ("around", "expected"),
    [(nullcontext, False), (torch.no_grad, False), (torch.autograd.graph.save_on_cpu, True), (nested, True)],
)
def test_active_hooks_are_noticed(
    look: Callable[[], bool], around: Callable[[], AbstractContextManager[None]], expected: bool
) -> None:
    with around():
        assert look() is expected
    assert look() is False


@pytest.mark.parametrize("look", LOOKS)
def test_those_of_a_checkpoint_are_noticed(look: Callable[[], bool]) -> None:
    found = []

    def body(x: Tensor) -> Tensor:
        found.append(look())
        return x * 2

    checkpoint(body, torch.ones(2, requires_grad=True), use_reentrant=False)
    assert found == [True]
