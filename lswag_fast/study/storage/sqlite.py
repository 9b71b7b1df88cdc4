"""The folder of a run: `study.sqlite` while it runs, `trials.csv` and `result.json` when it ends.

One process writes at a time. On network file systems the locks of SQLite and of the system are not safe, and two
machines could write at once: keep the folder on a local disk.
"""

from __future__ import annotations

import json
import os
import sqlite3
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lswag_fast.errors import StorageError
from lswag_fast.files.durable import DeferredFsync, replace_file, sync_folder
from lswag_fast.files.lock import FileLock
from lswag_fast.study.storage import schema
from lswag_fast.study.storage.records import Records, read_records
from lswag_fast.study.trial import Trial

TRIALS_FILE = "trials.csv"
RESULT_FILE = "result.json"
# Of result.json; a reader of a later version can tell what it holds.
RESULT_VERSION = 2
# Seconds to wait for a viewer that holds the database for a moment.
_BUSY_S = 10.0
# What may lie in a folder in which a run was killed before it had anything to keep.
_OWN_FILES = {schema.LOCK_FILE, *(schema.DATABASE_FILE + end for end in ("", "-wal", "-shm", "-journal"))}


class SQLiteStorage:
    """Writes one study into a folder; everything told is there when the call returns.

    A killed process loses nothing. A power cut loses at most the last second (`durable.SYNC_WITHIN_S`): commits go to
    SQLite's write-ahead log without waiting for the disk, and a thread syncs the log.

    Args:
        path: the folder. Made with its parents when it does not exist; an empty one, or one that holds a study.

    Attributes:
        path: the folder.
        stored: what the folder held when it was opened; None for a new study.

    Raises:
        StorageVersionError: the study was written by a later version.
        StorageError: another process writes it, it is damaged, or the folder holds something else or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._database = self.path / schema.DATABASE_FILE
        with schema.reported(self.path, "write to"):
            _prepare(self.path)
        self._lock = FileLock(self.path / schema.LOCK_FILE, self.path)
        try:
            with schema.reported(self._database, "open"):
                self._connection = sqlite3.connect(self._database, timeout=_BUSY_S, isolation_level=None)
                self.stored = self._open()
                self._sync = DeferredFsync(self._database.with_name(self._database.name + "-wal"))
                sync_folder(self.path)
        except BaseException:
            self._lock.release()
            raise
        # A study that is dropped without a word must not hold the folder, nor keep the thread.
        self._finalizer = weakref.finalize(self, _drop, self._sync, self._connection, self._lock)

    @staticmethod
    def is_study(path: str | os.PathLike[str]) -> bool:
        """Whether a folder holds a study, or the beginning of one."""
        return (Path(path) / schema.DATABASE_FILE).exists()

    def _open(self) -> Records | None:
        blank = schema.is_blank(self._connection)
        version = schema.SCHEMA_VERSION if blank else schema.check(self._connection, self._database)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        with schema.transaction(self._connection):
            pass  # makes the log, and shows at once whether it can be written
        if blank:
            return None
        if version < schema.SCHEMA_VERSION:
            with schema.transaction(self._connection):
                schema.migrate(self._connection, version)
        return read_records(self._connection)

    def create(self, facts: Mapping[str, Any], latencies: Mapping[str, float]) -> None:
        """Begin a new study: what is known of it, as JSON values, and the latencies measured before it began."""
        with self._writing():
            schema.create(self._connection)
            schema.insert(self._connection, "fact", [(key, json.dumps(value)) for key, value in facts.items()])
            schema.insert(self._connection, "latency", list(latencies.items()))

    def add_wave(self, number: int, trials: Sequence[Trial], random_state: Any, memory: Any) -> None:
        """Store new trials and, with them, the state after they were made: of the generator and of the sampler."""
        rows = [(t.number, t.arch_json, t.origin, t.generation, t.n_params, t.macs, t.latency_ms) for t in trials]
        packed, gauss = schema.pack_random(random_state)
        state = (0, number, trials[-1].number + 1, packed, gauss, json.dumps(memory))
        with self._writing():
            schema.insert(self._connection, "proposal", rows)
            schema.insert(self._connection, "wave", [state], replace=True)

    def add_result(self, trial: Trial, traceback: str, clock_ms: float) -> None:
        """Store what became of a trial; `clock_ms` is the wall time of the whole study by then."""
        values = json.dumps(dict(trial.values))
        end = (trial.error, traceback, trial.start_time, trial.elapsed_ms, clock_ms)
        with self._writing():
            schema.insert(self._connection, "result", [(trial.number, trial.state, values, *end)])

    def add_latency(self, arch_json: str, latency_ms: float) -> None:
        """Store a measured latency."""
        with self._writing():
            schema.insert(self._connection, "latency", [(arch_json, latency_ms)])

    def put(self, key: str, value: Any) -> None:
        """Store something else that is known of the study, a JSON value, in place of what `key` had before."""
        with self._writing():
            schema.insert(self._connection, "fact", [(key, json.dumps(value))], replace=True)

    def write_files(self, table: str, result: Mapping[str, Any]) -> None:
        """Replace `trials.csv` and `result.json`, whole or not at all; raises StorageError."""
        text = json.dumps({"schema_version": RESULT_VERSION, **result}, indent=2) + "\n"
        with schema.reported(self.path, "write to"):
            replace_file(self.path / TRIALS_FILE, table.encode())
            replace_file(self.path / RESULT_FILE, text.encode())

    def close(self) -> None:
        """Bring everything to the disk, into one file, and give the folder free; raises StorageError."""
        if not self._finalizer.alive:
            return
        try:
            with schema.reported(self._database, "write to"):
                # Out of the log: the file is whole by itself, can be copied, and read where nothing can be written.
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                with suppress(sqlite3.OperationalError):  # a viewer looks at it just now, and reads the log too
                    self._connection.execute("PRAGMA journal_mode = DELETE")
        finally:
            self._finalizer()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with schema.reported(self._database, "write to"):
            with schema.transaction(self._connection):
                yield
            self._sync.touch()


def _prepare(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise StorageError(f"{path} is not a folder; name another one")
    path.mkdir(parents=True, exist_ok=True)
    files = {file.name for file in path.iterdir()}
    if schema.DATABASE_FILE not in files and files - _OWN_FILES:
        raise StorageError(
            f"{path} is not empty and holds no study; name a new folder, so that no result is overwritten"
        )


def _drop(sync: DeferredFsync, connection: sqlite3.Connection, lock: FileLock) -> None:
    sync.close()
    connection.close()
    lock.release()
