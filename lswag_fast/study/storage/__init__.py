"""Where a study is kept: the `Storage` protocol and its three members."""

from __future__ import annotations

import os
from pathlib import Path

from lswag_fast.errors import InputError, StorageError
from lswag_fast.study.storage.lease import LEASE_FILE
from lswag_fast.study.storage.log import LOG_FILE, LogStorage
from lswag_fast.study.storage.memory import MemoryStorage
from lswag_fast.study.storage.protocol import Record, Records, Storage
from lswag_fast.study.storage.schema import DATABASE_FILE, reported
from lswag_fast.study.storage.sqlite import SQLiteStorage

__all__ = ["LogStorage", "MemoryStorage", "Record", "Records", "SQLiteStorage", "Storage", "get_storage"]


def get_storage(storage: Storage | str | os.PathLike[str] | None) -> Storage:
    """Return a storage: itself, that of a folder, or memory for None. A folder without a study means SQLite.

    Raises:
        InputError: it is none of these.
        StorageError: the folder cannot be looked into, or holds a study of each kind.

    Example:
        >>> type(get_storage(None)).__name__, type(get_storage("runs/new")).__name__
        ('MemoryStorage', 'SQLiteStorage')
    """
    if storage is None:
        return MemoryStorage()
    if isinstance(storage, (str, os.PathLike)):
        folder = Path(storage)
        with reported(folder, "read"):  # a name that is too long, a folder that nobody may look into
            is_begun = (folder / LEASE_FILE).exists() and not (folder / DATABASE_FILE).exists()
            is_log = is_begun or (folder / LOG_FILE).exists()
            if (folder / LOG_FILE).exists() and (folder / DATABASE_FILE).exists():
                raise StorageError(
                    f"{folder} holds two studies, {DATABASE_FILE} and {LOG_FILE}; move one of them elsewhere"
                )
        return LogStorage(storage) if is_log else SQLiteStorage(storage)
    if not isinstance(storage, Storage):
        raise InputError(f"storage must be None, a folder or a Storage; found {type(storage).__name__}")
    return storage
