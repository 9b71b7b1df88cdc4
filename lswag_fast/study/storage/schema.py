"""The database of a study, `study.sqlite`: its tables, its version, and rows that know when they are damaged."""

from __future__ import annotations

import random
import sqlite3
import sys
import zlib
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lswag_fast.errors import StorageError, StorageVersionError

DATABASE_FILE = "study.sqlite"
LOCK_FILE = "study.lock"
SCHEMA_VERSION = 1
# "LSWG", in the head of the file: another program's database is never taken for a study.
APPLICATION_ID = 0x4C535747

# Proposals and results are only ever appended. A trial without a result was not told yet.
TABLES = {
    "fact": "key TEXT PRIMARY KEY, value TEXT NOT NULL",
    "wave": "id INTEGER PRIMARY KEY, number INTEGER, n_proposals INTEGER, random_state BLOB, gauss REAL, memory TEXT",
    "proposal": "number INTEGER PRIMARY KEY, arch TEXT NOT NULL, origin TEXT NOT NULL, generation INTEGER NOT NULL, "
    "n_params INTEGER NOT NULL, macs INTEGER NOT NULL, latency_ms REAL",
    "result": "number INTEGER PRIMARY KEY, state TEXT NOT NULL, value TEXT NOT NULL, error TEXT NOT NULL, "
    "traceback TEXT NOT NULL, start_time TEXT NOT NULL, elapsed_ms REAL NOT NULL, clock_ms REAL NOT NULL",
    "latency": "arch TEXT PRIMARY KEY, latency_ms REAL NOT NULL",
}

Cells = tuple[Any, ...]
Migration = Callable[[sqlite3.Connection], None]

MIGRATIONS: dict[int, Migration] = {}
"""For each version before `SCHEMA_VERSION` what makes the next one of it, inside one transaction. 1 is the first."""

_RANDOM_WORDS = 625  # 624 words of the Mersenne twister and the place in them
_RANDOM_VERSION = 3


def insert(connection: sqlite3.Connection, table: str, rows: list[Cells], *, replace: bool = False) -> None:
    """Write rows with their checksums, inside a transaction of the caller."""
    if not rows:
        return
    marks = ", ".join("?" * (len(rows[0]) + 1))
    verb = "INSERT OR REPLACE" if replace else "INSERT"
    statement = f"{verb} INTO {table} VALUES ({marks})"
    connection.executemany(statement, [(*row, _checksum(row)) for row in rows])


def rows_of(connection: sqlite3.Connection, table: str) -> Iterator[Cells]:
    """Yield the rows of a table by its key, without their checksums.

    Raises:
        StorageError: a row is not what was written.
    """
    for *cells, checksum in connection.execute(f"SELECT * FROM {table} ORDER BY 1"):
        row = tuple(cells)
        if _checksum(row) != checksum:
            raise StorageError(f"a row of the table {table} is damaged")
        yield row


def _checksum(row: Cells) -> int:
    # SQLite has checksums in its log only: a bit that flips in the database itself would go unseen. The text of bytes
    # is long, so their own checksum stands for them.
    return zlib.crc32(repr([zlib.crc32(cell) if isinstance(cell, bytes) else cell for cell in row]).encode())


def pack_random(state: Any) -> tuple[bytes, float | None]:
    """Return the state of a `random.Random` as 625 little-endian 32-bit integers, and its pending Gaussian number."""
    _, words, gauss = state
    packed = array("I", words)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes(), gauss


def unpack_random(packed: bytes, gauss: float | None) -> random.Random:
    """Return the generator that `pack_random` was given the state of. Raises ValueError for other bytes."""
    words = array("I", packed)
    if sys.byteorder == "big":
        words.byteswap()
    if len(words) != _RANDOM_WORDS:
        raise ValueError(f"a state of {len(words)} words")
    rng = random.Random()
    rng.setstate((_RANDOM_VERSION, tuple(words), gauss))
    return rng


def is_blank(connection: sqlite3.Connection) -> bool:
    """Whether nothing was ever committed: a new file, or one that was being made when the process was killed."""
    return not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]


def create(connection: sqlite3.Connection) -> None:
    """Make the tables, empty, inside a transaction of the caller."""
    for table, columns in TABLES.items():
        connection.execute(f"DROP TABLE IF EXISTS {table}")
        connection.execute(f"CREATE TABLE {table} ({columns}, checksum INTEGER NOT NULL)")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def check(connection: sqlite3.Connection, path: Path) -> int:
    """Return the schema version of a study's database, after SQLite's own check of the whole file.

    Raises:
        StorageVersionError: it was written by a later version.
        StorageError: it is damaged or no study.
    """
    (identity,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if identity != APPLICATION_ID or version < 1:
        raise StorageError(f"{path} is not a study of lswag-fast")
    if version > SCHEMA_VERSION:
        raise StorageVersionError(
            f"{path} has schema version {version}, this lswag-fast reads up to {SCHEMA_VERSION}; use a newer one"
        )
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StorageError(f"{path} is damaged: {' '.join(verdict.split())}")
    return int(version)


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring the tables from `version` to the present one, inside a transaction of the caller."""
    for step in range(version, SCHEMA_VERSION):
        MIGRATIONS[step](connection)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk may have ended it already
            connection.execute("ROLLBACK")
        raise


@contextmanager
def reported(path: Path, doing: str) -> Iterator[None]:
    """Turn the errors of SQLite and of the system into a `StorageError` of one line."""
    try:
        yield
    except StorageError:
        raise
    except sqlite3.Error as error:
        raise StorageError(f"cannot {doing} {path}: {error}") from error
    except OSError as error:
        raise StorageError(f"cannot {doing} {path}: {error.strerror or error}") from error
