"""The folder of a run: `trials.csv`, one row a trial, and `result.json`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lswag_fast.driver.trial import COLUMNS, Trial, csv_row, trial_row
from lswag_fast.errors import StorageError

TRIALS_FILE = "trials.csv"
RESULT_FILE = "result.json"
# Of result.json; a reader of a later version can tell what it holds.
SCHEMA_VERSION = 1


class RunFolder:
    """Writes one run into a folder of its own; the folder is made here, the files with the first row.

    A row is handed to the operating system whole and at once, so a killed process loses at most the row being written.

    Args:
        path: the folder; made with its parents when it does not exist.

    Raises:
        StorageError: the folder holds something already, or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            if self.path.exists() and not self.path.is_dir():
                raise StorageError(f"{self.path} is not a folder; name another one")
            if self.path.exists() and any(self.path.iterdir()):
                raise StorageError(f"{self.path} is not empty; name a new folder, so that no result is overwritten")
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _storage_error(error, self.path) from error

    def add(self, trial: Trial) -> None:
        """Append the row of a finished trial.

        Raises:
            StorageError: the row cannot be written.
        """
        row = csv_row(trial_row(trial).values())
        try:
            with (self.path / TRIALS_FILE).open("ab", buffering=0) as file:
                file.write((row if file.tell() else csv_row(COLUMNS) + row).encode())
        except OSError as error:
            raise _storage_error(error, self.path) from error

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Replace `result.json`: written aside, then renamed, so a reader never sees half of it.

        Raises:
            StorageError: the file cannot be written.
        """
        aside = self.path / (RESULT_FILE + ".part")
        text = json.dumps({"schema_version": SCHEMA_VERSION, **result}, indent=2)
        try:
            aside.write_text(text + "\n", encoding="utf-8")
            aside.replace(self.path / RESULT_FILE)
        except OSError as error:
            raise _storage_error(error, self.path) from error


def _storage_error(error: OSError, path: Path) -> StorageError:
    if isinstance(error, StorageError):
        return error
    return StorageError(f"cannot write to {path}: {error.strerror or error}")
