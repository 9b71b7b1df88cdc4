"""The public names: listed once, loaded late, and found where the package says."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import lswag_fast


def test_every_public_name_is_there() -> None:
    for name in lswag_fast.__all__:
        assert getattr(lswag_fast, name) is not None
    assert sorted(lswag_fast.__all__) == lswag_fast.__all__
    assert dir(lswag_fast) == lswag_fast.__all__


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(lswag_fast.__file__ or "").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen | {"__version__"} == set(lswag_fast.__all__)


def test_no_public_function_has_the_name_of_a_module() -> None:
    modules = {path.stem for path in Path(lswag_fast.__file__ or "").parent.iterdir()}
    assert {name for name in lswag_fast.__all__ if callable(getattr(lswag_fast, name))} & modules == set()


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'lswag_fast' has no attribute 'scor'"):
        lswag_fast.scor  # noqa: B018
