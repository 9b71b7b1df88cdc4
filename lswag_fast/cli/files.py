"""Files that a command writes for the user."""

from __future__ import annotations

from pathlib import Path

from lswag_fast.errors import StorageError
from lswag_fast.files.durable import replace_file


def write(path: Path, content: bytes) -> None:
    """Replace a file whole, its folder made if need be.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
