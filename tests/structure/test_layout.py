"""The size of rooms and files."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
MAX_FILES, MAX_LINES = 16, 400
SOURCES = {".py", ".pyi", ".cpp", ".h", ".inl", ".css", ".js"}


def _tracked() -> list[PurePosixPath]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout: which files belong to the project is not known")
    return [PurePosixPath(name) for name in done.stdout.splitlines() if (ROOT / name).exists()]


def test_no_room_is_crowded() -> None:
    counts = Counter(str(path.parent) for path in _tracked())
    assert {folder: count for folder, count in counts.items() if count > MAX_FILES} == {}


def test_no_source_is_long() -> None:
    lines = {str(path): len((ROOT / path).read_text().splitlines()) for path in _tracked() if path.suffix in SOURCES}
    assert lines
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}
