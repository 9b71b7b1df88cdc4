"""Naming the proxies in what a model raises."""

from __future__ import annotations

import pytest

from lswag_fast.errors import InputError, UnsupportedModelError
from lswag_fast.passes.shared.checks import naming


@pytest.mark.parametrize("error", [ValueError("no"), KeyError("no"), RuntimeError("no")])
def test_errors_of_the_model_are_named_and_kept_as_the_cause(error: Exception) -> None:
    with (
        pytest.raises(UnsupportedModelError, match=r"^zen: the model fails on noise: .*no") as caught,
        naming("zen", "on noise"),
    ):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [InputError("own"), MemoryError("full"), RuntimeError("can't allocate memory: you tried"), KeyboardInterrupt()],
)
def test_own_errors_lack_of_memory_and_interrupts_go_through(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, naming("zen", "on noise"):
        raise error
    assert caught.value is error
