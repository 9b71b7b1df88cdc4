"""The contract of storages on each of ours."""

from __future__ import annotations

from pathlib import Path

from lswag_fast.study.storage import LogStorage, MemoryStorage, SQLiteStorage, Storage
from lswag_fast.testing import StorageContract


class TestSQLiteStorage(StorageContract):
    def make_storage(self, place: Path) -> Storage:
        return SQLiteStorage(place / "run")


class TestLogStorage(StorageContract):
    def make_storage(self, place: Path) -> Storage:
        return LogStorage(place / "run")


class TestMemoryStorage(StorageContract):
    def make_storage(self, place: Path) -> Storage:
        self.shared = getattr(self, "shared", {})
        return MemoryStorage(self.shared.setdefault(place, MemoryStorage()))
