"""The database of a study, `study.sqlite`: its one table, its version, and rows that know when they are damaged."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lswag_fast.errors import StorageError, StorageVersionError
from lswag_fast.study.storage import version1
from lswag_fast.study.storage.protocol import (
    REMEDY,
    Key,
    Record,
    Records,
    checksums,
    damage_named,
    decode_all,
    encode,
)

DATABASE_FILE = "study.sqlite"
LOCK_FILE = "study.lock"
SCHEMA_VERSION = 2
# "LSWG", in the head of the file: another program's database is never taken for a study.
APPLICATION_ID = 0x4C535747

_TABLE = "record (kind TEXT, key, value BLOB, checksum INTEGER, PRIMARY KEY (kind, key)) WITHOUT ROWID"
_INSERT = "INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?)"

# Among the errors that SQLite also has for a full disk or a lock.
_OF_DAMAGE = re.compile("no such (table|column)|Could not decode|unsupported file format|malformed")

EARLIER: dict[int, Callable[[sqlite3.Connection], list[Record]]] = {1: version1.read_records}
"""For each earlier version what reads its tables as the records of the present one."""


def insert(connection: sqlite3.Connection, records: Iterable[Record]) -> None:
    """Write records with their checksums, inside a transaction of the caller."""
    connection.executemany(_INSERT, [_row(record) for record in records])


def _row(record: Record) -> tuple[str | int | bytes, ...]:
    text = encode(record.value)
    # SQLite has checksums in its log only: a bit that flips in the database itself would go unseen.
    return record.kind, record.key, text, *checksums(record.kind, [record.key], [text])


def read_records(connection: sqlite3.Connection, version: int, path: Path) -> Records:
    """Read all records in one snapshot, also those of an earlier version.

    Raises:
        StorageError: something is damaged.
        sqlite3.Error: the database cannot be read.
    """
    found: dict[str, dict[Key, object]] = {}
    with damage_named(path.parent), _snapshot(connection):
        if version < SCHEMA_VERSION:
            for record in EARLIER[version](connection):
                found.setdefault(record.kind, {})[record.key] = record.value
            return found
        for kind in _kinds(connection):
            found[kind] = _read_kind(connection, kind)
    return found


def _kinds(connection: sqlite3.Connection) -> Iterator[str]:
    """The kinds of records, from one to the next: `SELECT DISTINCT` would look at every record."""
    kind, query = "", "SELECT min(kind) FROM record WHERE kind > ?"
    while (following := connection.execute(query, (kind,)).fetchone()[0]) is not None:
        kind = following
        yield kind


def _read_kind(connection: sqlite3.Connection, kind: str) -> dict[Key, object]:
    query = "SELECT key, value, checksum FROM record WHERE kind = ? ORDER BY key"
    keys, texts, expected = zip(*connection.execute(query, (kind,)).fetchall(), strict=True)
    # All at once: a study may have 100,000 records of a kind.
    if checksums(kind, keys, texts) != list(expected):
        raise ValueError(f"a record of the kind {kind!r} is not what was written")
    return dict(zip(keys, decode_all(texts), strict=True))


@contextmanager
def _snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def is_blank(connection: sqlite3.Connection) -> bool:
    """Whether a database was never a study: new, or of a run that was cut while it began.

    Tables and identity are written together, so that a study without its tables is a damaged one.
    """
    (n_tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (identity,) = connection.execute("PRAGMA application_id").fetchone()
    return not n_tables and identity != APPLICATION_ID


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
        raise StorageError(f"{path} is damaged: {' '.join(verdict.split())}; {REMEDY}")
    wanted = version1.TABLES if version == 1 else {"record"}
    missing = wanted - {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if missing:
        raise StorageError(f"{path} is damaged: it has lost its table {min(missing)}; {REMEDY}")
    return int(version)


def replace_all(connection: sqlite3.Connection, records: Sequence[Record]) -> None:
    """Make the table anew with these records, whatever tables there were, inside a transaction of the caller."""
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        connection.execute(f'DROP TABLE "{name}"')
    connection.execute(f"CREATE TABLE {_TABLE}")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    insert(connection, records)


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring a study of an earlier version to the present one: all of it, or nothing when the process dies."""
    with transaction(connection):
        replace_all(connection, EARLIER[version](connection))


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
    except (sqlite3.Error, UnicodeError) as error:  # a text in it may be none any more
        text = " ".join(str(error).split())
        if isinstance(error, sqlite3.OperationalError) and not _OF_DAMAGE.match(text):
            raise StorageError(f"cannot {doing} {path}: {text}") from error
        raise StorageError(f"{path} is damaged: {text}; {REMEDY}") from error
    except OSError as error:
        raise StorageError(f"cannot {doing} {path}: {error.strerror or error}") from error
