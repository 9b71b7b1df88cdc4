"""Studies of schema version 1: read as they are, migrated as a whole, and intact when that is cut."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from golden.studies import KILLED_AFTER, STUDIES, STUDIES_FOLDER
from lswag_fast.errors import StorageError
from lswag_fast.study.storage import SQLiteStorage, version1
from lswag_fast.study.stored import read_study


@pytest.fixture(params=STUDIES)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(STUDIES_FOLDER / request.param, tmp_path / request.param))


def version_of(folder: Path) -> int:
    connection = sqlite3.connect(folder / "study.sqlite")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return int(version)


def test_a_reader_reads_it_and_leaves_it_as_it_is(folder: Path) -> None:
    study = read_study(folder)
    assert len(study.trials) == KILLED_AFTER
    assert study.settings.sampler.name == {"steady": "steady_state", "lswag": "evolution"}.get(folder.name, folder.name)
    assert version_of(folder) == 1


def test_a_writer_migrates_it_and_loses_nothing(folder: Path) -> None:
    before = SQLiteStorage(folder).read()
    storage = SQLiteStorage(folder)
    assert storage.open() == before
    storage.close()
    assert version_of(folder) == 2
    assert SQLiteStorage(folder).read() == before


def test_a_migration_that_is_cut_at_any_statement_leaves_it_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lswag_fast.study.storage import schema

    folder = Path(shutil.copytree(STUDIES_FOLDER / "steady", tmp_path / "run"))
    before = SQLiteStorage(folder).read()

    def cut(connection: sqlite3.Connection, records: Any) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(schema, "insert", cut)  # after the old tables were dropped and the new one made
        with pytest.raises(StorageError, match="disk I/O error"):
            SQLiteStorage(folder).open()
    assert version_of(folder) == 1
    assert SQLiteStorage(folder).read() == before


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE proposal SET n_params = n_params + 1 WHERE number = 3",
        "DELETE FROM proposal WHERE number = 3",
        "DROP TABLE result",
        "UPDATE fact SET value = CAST(x'ff00' AS TEXT)",
        "UPDATE wave SET random_state = x'00'",
    ],
)
def test_damage_is_one_line_and_nothing_is_migrated(tmp_path: Path, damage: str) -> None:
    folder = Path(shutil.copytree(STUDIES_FOLDER / "evolution", tmp_path / "run"))
    connection = sqlite3.connect(folder / "study.sqlite")
    with connection:
        connection.execute(damage)
    connection.close()
    for use in (SQLiteStorage(folder).read, SQLiteStorage(folder).open):
        with pytest.raises(StorageError) as caught:
            use()
        assert "\n" not in str(caught.value)
    assert version_of(folder) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "search toy --proxy params --wave 2",
            "search toy --proxies params --sampler-set proposals_per_batch=2 --sampler-set crossover_failures=0",
        ),
        ("lswag-fast search toy --sampler=steady", "lswag-fast search toy --sampler steady_state"),
        ("lswag-fast search s --sampler=random --out 'a b'", "lswag-fast search s --sampler random --out 'a b'"),
    ],
)
def test_the_command_of_a_search_is_said_in_present_words(old: str, new: str) -> None:
    metadata = {"command": old, "data": "digits"}
    version1._renew_command(metadata)
    assert metadata == {"command": new, "data": "digits"}
    version1._renew_command({})
