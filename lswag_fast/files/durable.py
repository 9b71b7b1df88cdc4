"""Writing that survives a power cut: files replaced whole, and a log that is synced soon after it grows."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from lswag_fast.errors import StorageError

# A power cut loses at most what was written in so many seconds.
SYNC_WITHIN_S = 1.0


def aside_of(path: Path) -> Path:
    """Return where `replace_file` writes before it renames; a kill may leave that file, and the next write takes it.

    Example:
        >>> aside_of(Path("result.json")).name
        'result.json.part'
    """
    return path.with_name(path.name + ".part")


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file so that a reader, or a power cut, finds the old one or the new one and nothing between.

    Written aside, synced, renamed, and the folder synced. Raises OSError; the old file is then as it was.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "result.json")
        >>> replace_file(path, b"{}")
        >>> path.read_text()
        '{}'
    """
    aside = aside_of(path)
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_whole(path: Path, content: bytes) -> None:
    """Write a result for the user: the file replaced whole, its folder made if need be.

    Raises:
        StorageError: it cannot be written; the old file is then as it was.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "new", "result.json")
        >>> write_whole(path, b"{}")
        >>> path.read_text()
        '{}'
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():  # a device such as /dev/null, which nothing may take the place of
            path.write_bytes(content)
        else:
            replace_file(path, content)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError.

    Windows has no such call: there a folder cannot be opened, and the file system looks after its names by itself.
    """
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class DeferredFsync:
    """Syncs a file at most `SYNC_WITHIN_S` after each `touch`, in a thread, so that writing need not wait for it.

    Args:
        path: a file that exists.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b")  # Windows syncs only what may be written to
        self._wake = threading.Condition()
        self._is_dirty = self._is_closed = False
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="lswag-fast sync", daemon=True)
        self._thread.start()

    def touch(self) -> None:
        """Say that the file has grown. Raises OSError if an earlier sync failed."""
        if self._error is not None:
            raise self._error
        if not self._is_dirty:
            with self._wake:
                self._is_dirty = True
                self._wake.notify()

    def close(self) -> None:
        """End the thread; the caller syncs for the last time by other means."""
        with self._wake:
            self._is_closed = True
            self._wake.notify()
        self._thread.join()
        self._file.close()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._is_dirty or self._is_closed)
                # What grows meanwhile is synced with it; the other half of the time is for the disk.
                if self._wake.wait_for(lambda: self._is_closed, SYNC_WITHIN_S / 2):
                    return
            self._is_dirty = False
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                self._error = error
                return
