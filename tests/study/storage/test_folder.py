"""What a folder of a run may hold when a study is opened in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lswag_fast.errors import StorageError
from lswag_fast.study.storage import LogStorage, SQLiteStorage
from lswag_fast.study.storage.folder import RESULT_FILE, TRIALS_FILE
from lswag_fast.study.storage.log import LOG_FILE
from lswag_fast.study.storage.schema import DATABASE_FILE

KINDS = pytest.mark.parametrize(("kind", "file"), [(SQLiteStorage, DATABASE_FILE), (LogStorage, LOG_FILE)])


@KINDS
@pytest.mark.parametrize("result", [TRIALS_FILE, RESULT_FILE])
def test_an_empty_study_beside_its_results_is_refused_and_nothing_is_written(
    kind: type[SQLiteStorage | LogStorage], file: str, result: str, tmp_path: Path
) -> None:
    (tmp_path / file).touch()
    (tmp_path / result).write_text("40 results")
    with pytest.raises(StorageError, match=f"{file} is empty, and the results of its study lie beside it"):
        kind(tmp_path).open()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {file: "", result: "40 results"}


@KINDS
def test_an_empty_study_alone_is_a_run_that_was_cut_while_it_began(
    kind: type[SQLiteStorage | LogStorage], file: str, tmp_path: Path
) -> None:
    (tmp_path / file).touch()
    storage = kind(tmp_path)
    assert storage.open() is None
    storage.close()
