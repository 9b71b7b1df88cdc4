"""The file of an evaluation: one row an architecture, and beside it the settings that all rows share."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lswag_fast.errors import StorageError
from lswag_fast.study.trial import csv_row


class RowFile:
    """Appends rows to a CSV, and continues one of the same settings.

    The settings lie in PATH.json. One process writes at a time, until `close` or its own end. A row is handed to the
    operating system whole and at once; what a killed process left of a row that it was writing is cut off when the file
    is opened again.

    Args:
        path: the CSV; made with its folder when it does not exist.
        columns: of the rows, the first naming the architecture.
        settings: everything that decides the rows, as JSON values.

    Raises:
        StorageError: the file belongs to other settings (naming the difference), another process writes it, or it
            cannot be read or written.
    """

    def __init__(self, path: str | os.PathLike[str], columns: Sequence[str], settings: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.columns = tuple(columns)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            is_there = self.path.exists()
            self._file = self._locked()
            try:
                self.done = self._opened(settings, is_there)
            except BaseException:
                self.close()
                raise
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"cannot write to {self.path}: {error.strerror or error}") from error

    def _opened(self, settings: Mapping[str, Any], is_there: bool) -> frozenset[str]:
        """The architectures that have a row, after a new file was begun or an old one was checked."""
        settings_path = self.path.with_name(self.path.name + ".json")
        if is_there:
            self._check_settings(settings_path, settings)
            return self._recovered()
        settings_path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        self._append(self.columns)
        return frozenset()

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row; raises StorageError when it cannot be written."""
        try:
            self._append([row[name] for name in self.columns])
        except OSError as error:
            raise StorageError(f"cannot write to {self.path}: {error.strerror or error}") from error

    def _append(self, values: Sequence[Any]) -> None:
        self._file.write(csv_row(values).encode())

    def _locked(self) -> io.FileIO:
        file = self.path.open("ab", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise StorageError(f"{self.path} is being written by another process; wait, or name another file") from None
        return file

    def close(self) -> None:
        """Let another process write."""
        self._file.close()

    def _check_settings(self, path: Path, settings: Mapping[str, Any]) -> None:
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StorageError(f"{self.path} is there, but its settings {path} cannot be read ({error})") from error
        wanted = json.loads(json.dumps(settings))
        for name in sorted({*known, *wanted}):
            if known.get(name) != wanted.get(name):
                raise StorageError(
                    f"{self.path} was made with {name} {known.get(name)!r}, now it is {wanted.get(name)!r}; "
                    "name another file"
                )

    def _recovered(self) -> frozenset[str]:
        """The architectures that have a whole row; a torn last row is cut off."""
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        rows = list(csv.reader(io.StringIO(whole.decode(), newline="")))
        if not rows or tuple(rows[0]) != self.columns:
            raise StorageError(f"{self.path} has other columns than this evaluation; name another file")
        return frozenset(row[0] for row in rows[1:])
