"""Files that are torn or overwritten: the study resumes from a true beginning of itself, or is refused in one line."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from durability.runs import killed_at_mark, outcome, run
from lswag_fast.errors import StorageError
from lswag_fast.study.stored import read_study

SAMPLER = "evolution"
# A place in the middle of a run, where the log has grown and nothing of it was moved into the database.
MARK = 90
WAL = "study.sqlite-wal"
DATABASE = "study.sqlite"

Rows = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def whole() -> Rows:
    return outcome(run(None, SAMPLER))


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a killed run: a database, and a log beside it that holds all trials."""
    folder = tmp_path_factory.mktemp("cut") / "run"
    assert killed_at_mark(folder, SAMPLER, MARK) == MARK
    assert (folder / WAL).stat().st_size > 0
    return folder


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run: all is in the database."""
    folder = tmp_path_factory.mktemp("closed") / "run"
    run(folder, SAMPLER, n_trials=20)
    assert not (folder / WAL).exists()
    return folder


def check(folder: Path, whole: Rows) -> bool:
    """Open and finish a damaged study; return whether that could be done."""
    try:
        seen = outcome(read_study(folder))
    except StorageError as error:
        seen = []
        assert "\n" not in str(error)
    assert seen == [row for row in whole if row[0] in {row[0] for row in seen}]
    try:
        result = run(folder, SAMPLER)
    except StorageError as error:
        assert "\n" not in str(error)
        return False
    assert outcome(result) == whole
    return True


def offsets(size: int, count: int) -> list[int]:
    """Places in a file: its first bytes, and others drawn from all of it."""
    return sorted({0, 1, 16, 31, size - 1, *random.Random(size).sample(range(size), count)})


def damaged(source: Path, target: Path) -> Path:
    return Path(shutil.copytree(source, target))


def check_torn(source: Path, name: str, folder: Path, whole: Rows, count: int) -> list[bool]:
    content = (source / name).read_bytes()
    survived = []
    for offset in offsets(len(content), count):
        copy = damaged(source, folder / str(offset))
        (copy / name).write_bytes(content[:offset])
        survived.append(check(copy, whole))
    return survived


def check_garbage(source: Path, name: str, folder: Path, whole: Rows, count: int) -> list[bool]:
    content, rng = (source / name).read_bytes(), random.Random(name)
    survived = []
    for offset in offsets(len(content), count):
        copy = damaged(source, folder / str(offset))
        bad = rng.randbytes(64)[: len(content) - offset]
        (copy / name).write_bytes(content[:offset] + bad + content[offset + len(bad) :])
        survived.append(check(copy, whole))
    return survived


def test_a_torn_log_is_cut_back_to_whole_transactions(cut: Path, tmp_path: Path, whole: Rows) -> None:
    assert all(check_torn(cut, WAL, tmp_path, whole, 6))


@pytest.mark.filterwarnings("ignore:.*study.sqlite-wal is damaged")
def test_garbage_in_the_log_ends_it_there_and_a_copy_is_kept(cut: Path, tmp_path: Path, whole: Rows) -> None:
    assert all(check_garbage(cut, WAL, tmp_path, whole, 6))
    # In the last transaction the damage looks like what a killed process leaves.
    half = (cut / WAL).stat().st_size // 2
    early = [folder for folder in tmp_path.iterdir() if folder.name.isdecimal() and int(folder.name) < half]
    assert early
    assert all((folder / f"{WAL}.damaged-1").exists() for folder in early)


def test_a_torn_database_is_refused_or_misses_nothing(closed: Path, tmp_path: Path, whole: Rows) -> None:
    survived = check_torn(closed, DATABASE, tmp_path, whole, 6)
    assert not survived[0]  # of 0 bytes, beside the results of its study
    # Of 1 byte there is nothing left, as when a process was killed while it began.
    assert survived[1]
    assert survived.count(False) >= len(survived) // 2  # the end of the last page may be unused


def test_garbage_in_the_database_is_refused_or_does_not_matter(closed: Path, tmp_path: Path, whole: Rows) -> None:
    assert not all(check_garbage(closed, DATABASE, tmp_path, whole, 10))


def test_garbage_after_the_end_does_not_matter(closed: Path, tmp_path: Path, whole: Rows) -> None:
    copy = damaged(closed, tmp_path / "run")
    with (copy / DATABASE).open("ab") as file:
        file.write(b"garbage")
    assert check(copy, whole)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*study.sqlite-wal is damaged")
@pytest.mark.parametrize("damage", [check_torn, check_garbage])
@pytest.mark.parametrize("name", [WAL, DATABASE])
def test_damage_at_many_places(cut: Path, tmp_path: Path, whole: Rows, name: str, damage: Any) -> None:
    survived = damage(cut, name, tmp_path, whole, 300)
    assert len(survived) > 300
