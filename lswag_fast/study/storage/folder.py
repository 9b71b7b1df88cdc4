"""The folder of a run: what may lie in it, and the files of the result, `trials.csv` and `result.json`."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from lswag_fast.errors import StorageError
from lswag_fast.files.durable import replace_file

TRIALS_FILE = "trials.csv"
RESULT_FILE = "result.json"
# What the storages keep a study in, and how each is named in Python and on the command line.
_STUDY_FILES = {
    "study.sqlite": "SQLiteStorage, --storage sqlite",
    "study.jsonl": "LogStorage, --storage log",
}
# Of result.json; a reader of a later version can tell what it holds.
RESULT_VERSION = 3


def prepare(path: Path, study_file: str, own_files: Collection[str]) -> None:
    """Make a folder if need be; refuse one that holds something else than such a study. Raises StorageError, OSError.

    Args:
        path: the folder.
        study_file: what a folder that holds a study has.
        own_files: what may lie in it beside that when a run was killed while it began.
    """
    if path.exists() and not path.is_dir():
        raise StorageError(f"{path} is not a folder; name another one")
    path.mkdir(parents=True, exist_ok=True)
    files = {file.name for file in path.iterdir()}
    if study_file in files and files & {TRIALS_FILE, RESULT_FILE} and not (path / study_file).stat().st_size:
        raise StorageError(
            f"{path / study_file} is empty, and the results of its study lie beside it; restore it, or name "
            "a new folder, so that no result is overwritten"
        )
    if study_file in files:
        return
    for other in files & _STUDY_FILES.keys():
        raise StorageError(
            f"{path} holds a study that the other storage keeps ({other}: {_STUDY_FILES[other]}); name the folder "
            "alone, without a storage, to continue it, or a new folder for a study in this one"
        )
    if files - set(own_files):
        raise StorageError(
            f"{path} is not empty and holds no study; name a new folder, so that no result is overwritten"
        )


def write_result_files(path: Path, table: str, result: Mapping[str, Any]) -> None:
    """Replace `trials.csv` and `result.json`, whole or not at all; raises StorageError."""
    text = json.dumps({"schema_version": RESULT_VERSION, **result}, indent=2) + "\n"
    try:
        replace_file(path / TRIALS_FILE, table.encode(errors="backslashreplace"))
        replace_file(path / RESULT_FILE, text.encode())
    except OSError as error:
        raise StorageError(f"cannot write to {path}: {error.strerror or error}") from error
