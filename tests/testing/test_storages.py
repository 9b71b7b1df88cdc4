"""The contract of storages on each of ours, and on the one that docs/howto/extending.md shows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from lswag_fast.study.storage import LogStorage, MemoryStorage, SQLiteStorage, Storage
from lswag_fast.testing import StorageContract

PAGE = Path(__file__).parents[2] / "docs/howto/extending.md"


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


class TestJsonStorage(StorageContract):
    def make_storage(self, place: Path) -> Storage:
        (block,) = re.findall(r"```python\n((?:(?!```).)*?class JsonStorage.*?)```", PAGE.read_text(), re.DOTALL)
        names: dict[str, Any] = {"json": json}
        exec(block, names)
        storage: Storage = names["JsonStorage"](place / "run")
        return storage
