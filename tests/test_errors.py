"""The tree of errors: one root, and the builtin that a caller expects."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from lswag_fast import errors
from lswag_fast.errors import LswagError, LswagWarning, MissingExtraError, needs_extra, reason, told

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if issubclass(kind, Exception) and kind is not LswagError])
def test_each_is_one_of_ours_and_a_builtin(kind: type[Exception]) -> None:
    if issubclass(kind, Warning):
        assert issubclass(kind, UserWarning)
        return
    assert issubclass(kind, LswagError)
    assert any(base.__module__ == "builtins" and base not in (Exception, BaseException, object) for base in kind.mro())
    assert kind.__doc__


def test_a_missing_package_says_what_to_type_and_keeps_its_cause() -> None:
    words = r"needs pillow, .*pip install 'lswag-fast\[images\]'"
    with pytest.raises(MissingExtraError, match=words) as caught, needs_extra("images", "pillow"):
        import no_such_package  # type: ignore[import-not-found]  # noqa: F401
    assert isinstance(caught.value.__cause__, ImportError)


def test_what_other_code_raised_is_one_line_with_the_place_outside_of_torch() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.nn.Linear(2, 2)(torch.zeros(3))
    words = told(caught.value)
    assert words.startswith("RuntimeError: ") and words.endswith(f"(test_errors.py, line {caught.tb.tb_lineno})")
    assert "\n" not in words and told(KeyError()) == "KeyError"


def test_the_reason_of_a_failure_names_no_file_and_no_number() -> None:
    assert reason(PermissionError(13, "Permission denied", "a.csv")) == "Permission denied"
    assert reason(OSError("closed")) == "closed"
    assert reason(ValueError("line 3")) == "line 3"


def test_other_errors_go_through() -> None:
    with pytest.raises(KeyError), needs_extra("images", "pillow"):
        raise KeyError("x")


def inside(module: str, source: str) -> dict[str, Any]:
    """The names that `source` defines as the module of that name."""
    names: dict[str, Any] = {"__name__": module}
    exec(compile(source, f"/site/{module}.py", "exec"), names)
    return names


DEEP = inside(
    "lswag_fast.deep",
    """
import contextlib, functools, torch
from lswag_fast.errors import warn
def find():
    warn("odd")
def call(function):
    function()
class Lazy:
    @functools.cached_property
    def value(self):
        find()
@contextlib.contextmanager
def block():
    find()
    yield
def enter():
    with block():
        pass
@torch.no_grad()
def without_gradients():
    find()
""",
)
FOUND = ("/site/lswag_fast.deep.py", 5)
OWN = "def run(function):\n    function()\n"


@pytest.mark.parametrize(
    "call",
    [DEEP["find"], DEEP["enter"], DEEP["without_gradients"], lambda: DEEP["Lazy"]().value],
    ids=["directly", "contextlib", "torch", "functools"],
)
def test_a_warning_names_the_line_of_the_caller_and_keeps_the_place_that_found_it(call: Callable[[], None]) -> None:
    with pytest.warns(LswagWarning, match="odd") as caught:
        call()
    assert [(warning.filename, warning.message.place) for warning in caught] == [(__file__, FOUND)]


@pytest.mark.parametrize("name", ["own", "lswag_fast_extras"])
def test_a_function_that_the_package_calls_is_a_caller_of_its_own(name: str) -> None:
    run = inside(name, OWN)["run"]
    with pytest.warns(LswagWarning) as caught:
        DEEP["call"](lambda: run(DEEP["find"]))
    assert [(warning.filename, warning.lineno) for warning in caught] == [(f"/site/{name}.py", 2)]


def test_the_same_warning_of_one_line_is_shown_once_as_python_does() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(2):
            DEEP["find"]()
    assert len(caught) == 1


def test_without_a_caller_there_is_a_warning_all_the_same() -> None:
    with pytest.warns(LswagWarning) as caught, ThreadPoolExecutor(1) as threads:
        threads.submit(DEEP["find"]).result()
    assert len(caught) == 1
