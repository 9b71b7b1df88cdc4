"""Imports go down the layers of pyproject.toml and never up, and each outside piece is imported in one place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("importlinter", reason="import-linter comes with the extra 'test'")

from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "lswag_fast"

# What only one room may touch: a pattern in the sources of the package, and the room.
WALLS = {
    "the binary": (r"\bimport _core\b|lswag_fast\._core\b", "kernels"),
    "function modes": (r"\bTorchFunctionMode\b|autograd\.Function\b", "observe"),
    "worker processes": (r"^\s*import multiprocessing|^\s*from multiprocessing", "execution"),
    "dask": (r"^\s*(import|from) distributed\b", "execution"),
    "locks": (r"^\s*(import|from) (fcntl|msvcrt|portalocker)\b", "files"),
    "pictures": (r"^\s*(import|from) PIL\b", "data"),
}


def test_imports_go_down_the_layers() -> None:
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


@pytest.mark.parametrize("what", WALLS)
def test_is_imported_in_one_room(what: str) -> None:
    pattern, room = WALLS[what]
    outside = [
        str(path.relative_to(ROOT))
        for path in sorted(PACKAGE.rglob("*.py"))
        if room not in path.relative_to(PACKAGE).parts and re.search(pattern, path.read_text(), re.MULTILINE)
    ]
    assert outside == []


@pytest.mark.parametrize(
    ("pattern", "home"), [(r"#include [<\"]pybind11", "bindings.cpp"), (r"#include [<\"]cuda", "cuda/")]
)
def test_a_header_is_included_in_one_place(pattern: str, home: str) -> None:
    sources = [path for path in sorted((ROOT / "csrc").rglob("*")) if path.is_file()]
    including = [path.relative_to(ROOT / "csrc").as_posix() for path in sources if re.search(pattern, path.read_text())]
    assert including
    assert [name for name in including if not name.startswith(home)] == []


def test_no_pickle_is_read_from_a_file() -> None:
    reading = [
        str(path.relative_to(PACKAGE)) for path in sorted(PACKAGE.rglob("*.py")) if "pickle.load(" in path.read_text()
    ]
    assert reading == []
