"""The file of an evaluation: one row per architecture, and beside it the settings that all rows share."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lswag_fast.errors import LswagError, StorageError, reason
from lswag_fast.files.differences import differences
from lswag_fast.files.durable import replace_file
from lswag_fast.files.lock import FileLock
from lswag_fast.study.trial import csv_row


def named_rows(path: str | os.PathLike[str]) -> frozenset[str]:
    """Return the architectures that the rows of a file name, none where there is no file; a torn last row has none.

    Raises:
        StorageError: it cannot be read.

    Example:
        >>> named_rows("missing.csv")
        frozenset()
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
    return frozenset(row[0] for row in _fields(_whole(content), path)[1:])


def _whole(content: bytes) -> bytes:
    """The rows that were written to their end."""
    return content[: content.rfind(b"\n") + 1]


def _fields(content: bytes, path: Path) -> list[list[str]]:
    """The fields of each row that has some; raises StorageError where the content is no CSV."""
    try:
        return [row for row in csv.reader(io.StringIO(content.decode(), newline="")) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise StorageError(f"{path} cannot be read as CSV ({reason(error)}); name another file") from error


class RowFile:
    """Appends rows to a CSV, and continues one of the same settings.

    The settings lie in PATH.json. One process writes at a time, until `close` or its own end. A row is handed to the
    operating system whole and at once; what a killed process left of a row that it was writing is cut off when the file
    is opened again.

    Attributes:
        kept: the fields of the rows that were there when it was opened, by architecture.
        done: those architectures.

    Args:
        path: the CSV; made with its folder when it does not exist.
        columns: of the rows, the first naming the architecture.
        settings: everything that decides the rows, as JSON values.
        other: what the error of other settings advises.
        newer: settings that files of earlier versions lack, and that are then not compared; others imply them.

    Raises:
        StorageError: the file belongs to other settings (naming the difference), another process writes it, or it
            cannot be read or written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        columns: Sequence[str],
        settings: Mapping[str, Any],
        *,
        other: str = "name another file",
        newer: Sequence[str] = (),
    ) -> None:
        self.path = Path(path)
        self._other, self._newer = other, newer
        self.columns = tuple(columns)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self._beside(".lock"), self.path)
            try:
                self._begin_or_check(settings)
                self.kept = self._recovered()
                self.done = frozenset(self.kept)
                self._file = self.path.open("ab", buffering=0)
            except BaseException:
                self._lock.release()
                raise
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"cannot write to {self.path}: {error.strerror or error}") from error

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    def _begin_or_check(self, settings: Mapping[str, Any]) -> None:
        if not self.path.exists():
            replace_file(self._beside(".json"), (json.dumps(settings, indent=2) + "\n").encode())
            replace_file(self.path, csv_row(self.columns).encode())
            return
        stored, given = self._settings(), json.loads(json.dumps(settings))
        known = {name: value for name, value in given.items() if name in stored or name not in self._newer}
        found = list(differences(stored, known))
        if found:
            raise StorageError(f"{self.path} was made with other settings: {'; '.join(found)}; {self._other}")

    def _settings(self) -> dict[str, Any]:
        path = self._beside(".json")
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(settings, dict):
                raise ValueError("they are no object")
        except (OSError, ValueError, RecursionError) as error:
            raise StorageError(
                f"{self.path} is there, but its settings {path} cannot be read ({reason(error)})"
            ) from error
        return settings

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row, or nothing of it; raises StorageError when it cannot be written."""
        text = csv_row([row[name] for name in self.columns]).encode()
        size = os.fstat(self._file.fileno()).st_size
        try:
            written = 0
            while written < len(text):  # a disk that is nearly full takes a part
                written += self._file.write(text[written:]) or 0
        except OSError as error:
            self._file.truncate(size)
            raise StorageError(f"cannot write to {self.path}: {error.strerror or error}") from error

    @contextmanager
    def discarded_if_refused(self) -> Iterator[None]:
        """Inside, an error of this package before there is any row takes the file and its settings away again."""
        try:
            yield
        except LswagError:
            with suppress(OSError, StorageError):  # they say less than the first error
                if not named_rows(self.path):
                    self.path.unlink(missing_ok=True)
                    self._beside(".json").unlink(missing_ok=True)
            raise

    def close(self) -> None:
        """Let another process write."""
        self._file.close()
        self._lock.release()

    def _recovered(self) -> dict[str, list[str]]:
        """The rows that are whole, by architecture; a torn last row is cut off."""
        content = self.path.read_bytes()
        whole = _whole(content)
        rows = _fields(whole, self.path)
        if not rows or tuple(rows[0]) != self.columns:
            raise StorageError(f"{self.path} has other columns than this evaluation; name another file")
        if len(whole) < len(content):
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        return {row[0]: row for row in rows[1:]}
