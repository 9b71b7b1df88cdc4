"""What --storage names: how the study of a search is stored in its folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lswag_fast.study.storage import Storage

SQLITE, LOG = "sqlite", "log"


def add_storage(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    text = (
        "how the study is stored in the folder: sqlite, or log for network file systems, where SQLite's locks are not "
        "safe (default: what the folder holds, sqlite for a new one)"
    )
    parser.add_argument("--storage", choices=(SQLITE, LOG), help=text)


def chosen_storage(kind: str | None, folder: Path) -> Storage:
    """Return the storage that --storage names; None is that of a study in the folder, and SQLite for a new one."""
    from lswag_fast.study.storage import LogStorage, SQLiteStorage, get_storage

    if kind is None:
        return get_storage(folder)
    return LogStorage(folder) if kind == LOG else SQLiteStorage(folder)
