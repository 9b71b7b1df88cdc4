"""A full disk: the search stops with a StorageError, and resumes when there is space again."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from durability.runs import outcome, run, told
from lswag_fast.errors import StorageError
from lswag_fast.files import durable
from lswag_fast.study.storage import Record, schema
from lswag_fast.study.stored import read_study

SAMPLER = "evolution"
# Room for the beginning of a study and a few trials, not for all of them.
SMALL, LARGE = "256k", "8m"
N_TRIALS = 60


def mount(*arguments: str) -> bool:
    try:
        return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or not mount("-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(folder)):
        pytest.skip("a small file system can be mounted only by root, where that is allowed")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_stops_the_search_and_space_lets_it_go_on(small_disk: Path) -> None:
    run_folder = small_disk / "folder" / "run"
    run_folder.parent.mkdir()
    with pytest.raises(StorageError, match=r"cannot write to .*study\.sqlite.*full"):
        run(run_folder, SAMPLER, n_trials=10_000)
    kept = outcome(read_study(run_folder))
    assert told(run_folder) <= {row[0] for row in kept}
    with pytest.raises(StorageError):  # still full: nothing hangs, nothing is harmed
        run(run_folder, SAMPLER, n_trials=10_000)
    assert outcome(read_study(run_folder))[: len(kept)] == kept

    assert mount("-o", f"remount,size={LARGE}", str(small_disk))
    total = len(kept) + 10
    assert outcome(run(run_folder, SAMPLER, n_trials=total)) == outcome(run(None, SAMPLER, n_trials=total))


@pytest.mark.parametrize("name", ["trials.csv", "result.json"])
def test_the_files_of_the_result_are_whole_or_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    run(tmp_path / "run", SAMPLER, n_trials=20)
    before = (tmp_path / "run" / name).read_text()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(durable.os, "fsync", full)
        with pytest.raises(StorageError, match="No space left on device"):
            run(tmp_path / "run", SAMPLER, n_trials=N_TRIALS)
    assert (tmp_path / "run" / name).read_text() == before
    assert not list((tmp_path / "run").glob("*.part"))
    assert outcome(run(tmp_path / "run", SAMPLER, n_trials=N_TRIALS)) == outcome(run(None, SAMPLER, n_trials=N_TRIALS))


@pytest.mark.parametrize("failing", [1, 2, 5, 20])
def test_a_commit_that_fails_loses_only_its_own_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """The error comes from SQLite at the nth result that is stored."""
    insert, n_results = schema.insert, 0

    def insert_until(connection: Any, records: Sequence[Record]) -> None:
        nonlocal n_results
        is_result = records[0].kind == "result"
        n_results += is_result
        if is_result and n_results == failing:
            raise sqlite3.OperationalError("database or disk is full")
        insert(connection, records)

    with monkeypatch.context() as patch:
        patch.setattr(schema, "insert", insert_until)
        with pytest.raises(StorageError, match="database or disk is full"):
            run(tmp_path / "run", SAMPLER)
    assert len(told(tmp_path / "run")) == failing - 1
    assert len(read_study(tmp_path / "run").trials) == failing - 1
    assert outcome(run(tmp_path / "run", SAMPLER)) == outcome(run(None, SAMPLER))
