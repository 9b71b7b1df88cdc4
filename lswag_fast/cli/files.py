"""Files that a command writes for the user."""

from __future__ import annotations

from pathlib import Path

from lswag_fast.errors import StorageError


def write(path: Path, content: bytes) -> None:
    """Replace a file, its folder made if need be: written aside, then renamed, so that nobody sees half of it.

    Raises:
        StorageError: it cannot be written.
    """
    aside = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(content)
        aside.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
