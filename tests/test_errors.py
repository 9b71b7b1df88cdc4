"""The tree of errors: one root, and the builtin that a caller expects."""

from __future__ import annotations

import inspect

import pytest

from lswag_fast import errors
from lswag_fast.errors import LswagError, MissingExtraError, needs_extra

OWN = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", [kind for kind in OWN if issubclass(kind, Exception) and kind is not LswagError])
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


def test_other_errors_go_through() -> None:
    with pytest.raises(KeyError), needs_extra("images", "pillow"):
        raise KeyError("x")
