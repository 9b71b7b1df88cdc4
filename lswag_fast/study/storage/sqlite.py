"""A study in an SQLite database, `study.sqlite` in a folder: the default, for a local disk.

One process writes at a time. On network file systems the locks of SQLite and of the system are not safe, and two
machines could write at once: there `LogStorage` keeps a study.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path

from lswag_fast.errors import StorageError, warn
from lswag_fast.files.durable import DeferredFsync, replace_file, sync_folder
from lswag_fast.files.lock import FileLock, is_held
from lswag_fast.study.storage import schema, wal
from lswag_fast.study.storage.folder import prepare
from lswag_fast.study.storage.protocol import Record, Records, damage_named

# Seconds to wait for a viewer that holds the database for a moment.
_BUSY_S = 10.0
# What may lie in a folder in which a run was killed before it had anything to keep.
OWN_FILES = {schema.LOCK_FILE, *(schema.DATABASE_FILE + end for end in ("", "-wal", "-shm", "-journal"))}


class SQLiteStorage:
    """Keeps one study in a folder on a local disk.

    A killed process loses nothing. A power cut loses at most the last second (`durable.SYNC_WITHIN_S`): commits go to
    SQLite's write-ahead log without waiting for the disk, and a thread syncs the log. A log that is damaged ends where
    the damage begins: a warning says so where that can be told (`wal.lost_end`), and `open` keeps a copy of it. A study
    of an earlier version is migrated when it is opened, and only read by `read`.

    Args:
        path: the folder: new, empty, or one that holds a study. `open` makes it with its parents.

    Example:
        >>> import tempfile
        >>> from lswag_fast import Study, spaces
        >>> folder = tempfile.mkdtemp()
        >>> with Study(spaces.NasBench201(), "random", SQLiteStorage(folder)) as study:
        ...     study.tell(study.ask(), 1.0).number
        0
        >>> with Study(spaces.NasBench201(), "random", folder) as study:
        ...     study.n_told
        1
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._database = self._path / schema.DATABASE_FILE
        self._log = self._path / f"{schema.DATABASE_FILE}-wal"
        self._finalizer: weakref.finalize[..., SQLiteStorage] | None = None

    @property
    def path(self) -> Path:
        """The folder."""
        return self._path

    def has_study(self) -> bool:
        """Return whether the folder holds a study, or the beginning of one."""
        with schema.reported(self._path, "read"):
            return self._database.exists()

    def open(self) -> Records | None:
        """Make the folder if need be, become its only writer and return what it holds.

        Raises:
            StorageVersionError: the study was written by a later version.
            StorageError: another process writes it, it is damaged, or the folder holds something else or cannot be
                written.
        """
        with schema.reported(self._path, "write to"):
            prepare(self._path, schema.DATABASE_FILE, OWN_FILES)
        lock = FileLock(self._path / schema.LOCK_FILE, self._path)
        try:
            with schema.reported(self._database, "open"):
                self._keep_lost_end()
                self._connection = sqlite3.connect(self._database, timeout=_BUSY_S, isolation_level=None)
                stored = self._open()
                self._sync = DeferredFsync(self._log)
                sync_folder(self._path)
        except BaseException:
            lock.release()
            raise
        # A study that is dropped without a word must not hold the folder, nor keep the thread.
        self._finalizer = weakref.finalize(self, _drop, self._sync, self._connection, lock)
        return stored

    def _keep_lost_end(self) -> None:
        """Keep a copy of a damaged log before SQLite cuts it back, and say so."""
        if (lost := wal.lost_end(self._log)) is None:
            return
        numbers = (number for number in itertools.count(1) if not self._copy(number).exists())
        copy = self._copy(next(numbers))
        replace_file(copy, self._log.read_bytes())
        self._warn(lost, f"a copy of it is kept in {copy.name}")

    def _copy(self, number: int) -> Path:
        return self._log.with_name(f"{self._log.name}.damaged-{number}")

    def _warn(self, lost: wal.LostEnd, remedy: str) -> None:
        if lost.n_lost is None:
            place = "in its head: all that it held"
        else:
            place = f"after {lost.n_frames} of its {lost.n_frames + lost.n_lost} pages: what was stored after them"
        warn(f"{self._log} is damaged {place} is lost, and the study is that of before; {remedy}")

    def _open(self) -> Records | None:
        blank = schema.is_blank(self._connection)
        version = schema.SCHEMA_VERSION if blank else schema.check(self._connection, self._database)
        stored = None if blank else schema.read_records(self._connection, version, self._database)
        # Only now is anything written: a damaged study stays as it is.
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        with schema.transaction(self._connection):
            pass  # makes the log, and shows at once whether it can be written
        if version < schema.SCHEMA_VERSION:
            with damage_named(self._path):
                schema.migrate(self._connection, version)
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        return stored

    def begin(self, records: Sequence[Record]) -> None:
        """Replace all that is stored by these records."""
        self._write(lambda: schema.replace_all(self._connection, records))
        with schema.reported(self._database, "write to"):
            # Out of the log at once: a log that is damaged later then ends a study early and does not undo its begin.
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def write(self, records: Sequence[Record]) -> None:
        """Store records in one transaction."""
        self._write(lambda: schema.insert(self._connection, records))

    def _write(self, change: Callable[[], None]) -> None:
        with schema.reported(self._database, "write to"):
            with schema.transaction(self._connection):
                change()
            self._sync.touch()

    def read(self) -> Records:
        """Return what the folder holds, also while a process writes it, and where nothing may be written.

        Raises:
            StorageVersionError: the study was written by a later version.
            StorageError: the folder holds no study, or a damaged one.
        """
        if not self._database.is_file():
            raise StorageError(f"{self._path} holds no study; name the folder that a search wrote (--out)")
        with schema.reported(self._database, "read"):
            if not self.is_being_written() and (lost := wal.lost_end(self._log)):
                self._warn(lost, "a search that continues it keeps a copy")
            try:
                return _read(self._database)
            except sqlite3.OperationalError:
                # The log of a run that was cut needs an index beside it, which cannot be made in a read-only folder.
                with tempfile.TemporaryDirectory() as copy:
                    for end in ("", "-wal"):
                        if (part := self._database.with_name(self._database.name + end)).exists():
                            shutil.copy(part, copy)
                    return _read(Path(copy) / self._database.name)

    def is_being_written(self) -> bool:
        """Return whether the process that holds the folder is alive."""
        return is_held(self._path / schema.LOCK_FILE)

    def close(self) -> None:
        """Bring everything to the disk, into one file, and give the folder free; raises StorageError."""
        if self._finalizer is None or not self._finalizer.alive:
            return
        try:
            with schema.reported(self._database, "write to"):
                # Out of the log: the file is whole by itself, can be copied, and read where nothing can be written.
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                with suppress(sqlite3.OperationalError):  # a viewer looks at it just now, and reads the log too
                    self._connection.execute("PRAGMA journal_mode = DELETE")
        finally:
            self._finalizer()


def _read(database: Path) -> Records:
    connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    with closing(connection):
        if schema.is_blank(connection):
            raise StorageError(f"{database.parent} holds no study yet: its run was cut while it began")
        return schema.read_records(connection, schema.check(connection, database), database)


def _drop(sync: DeferredFsync, connection: sqlite3.Connection, lock: FileLock) -> None:
    sync.close()
    connection.close()
    lock.release()
