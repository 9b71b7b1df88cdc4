"""Naming the pass in what a model raises."""

from __future__ import annotations

import pytest

from lswag_fast.errors import InputError, UnsupportedModelError
from lswag_fast.passes.shared.checks import model_errors


@pytest.mark.parametrize("error", [ValueError("no"), KeyError("no"), RuntimeError("no")])
def test_errors_of_the_model_are_named_and_kept_as_the_cause(error: Exception) -> None:
    with (
        pytest.raises(UnsupportedModelError, match=r"^the model fails on noise \(noise_pair pass\): .*no") as caught,
        model_errors("noise_pair", "on noise"),
    ):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [InputError("own"), MemoryError("full"), RuntimeError("can't allocate memory: you tried"), KeyboardInterrupt()],
)
def test_own_errors_lack_of_memory_and_interrupts_go_through(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, model_errors("noise_pair", "on noise"):
        raise error
    assert caught.value is error
