"""A study in a file that only grows, `study.jsonl` in a folder: for network file systems.

Each line is one group of records as JSON: their kinds, keys and values one after the other, with the length of their
text in front and behind them the CRC-32 of all that the file holds before; `jq .records study.jsonl` shows them. The
sum of the last line is that of the whole file, so that 100,000 lines are verified at once.
"""

from __future__ import annotations

import itertools
import os
import weakref
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from lswag_fast.errors import StorageError, StorageVersionError, warn
from lswag_fast.files.durable import DeferredFsync, replace_file, sync_folder
from lswag_fast.study.storage import schema
from lswag_fast.study.storage.folder import prepare
from lswag_fast.study.storage.lease import LEASE_FILE, Lease, is_held
from lswag_fast.study.storage.lines import BEGINNING, check_lines, checked_end, line_of, records_text
from lswag_fast.study.storage.protocol import REMEDY, Key, Record, Records, damage_named, decode_list

LOG_FILE = "study.jsonl"
# What may lie in a folder in which a run was killed before it had anything to keep.
OWN_FILES = {LOG_FILE, f"{LOG_FILE}.part", LEASE_FILE}
_VERSION_KIND = "log"
# Windows would write two bytes for the end of a line.
_AS_BYTES = getattr(os, "O_BINARY", 0)


class LogStorage:
    """Keeps one study in a folder that may lie on a network file system.

    Needs no locks of the system: a lease file names the one writer, which renews it; a lease that was silent for half
    a minute, or whose process on this machine is gone, is taken over. A line that was being written when its process
    was killed is cut off when the study is opened again: a warning says so, and the part is kept beside the log. A
    power cut loses at most the last second, as with `SQLiteStorage`.

    Args:
        path: the folder: new, empty, or one that holds such a study. `open` makes it with its parents.

    Example:
        >>> import tempfile
        >>> from lswag_fast import Study, spaces
        >>> folder = tempfile.mkdtemp()
        >>> with Study(spaces.NasBench201(), "random", LogStorage(folder)) as study:
        ...     study.tell(study.ask(), 1.0).number
        0
        >>> with Study(spaces.NasBench201(), "random", folder) as study:  # recognised by what the folder holds
        ...     study.n_told
        1
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._log = self._path / LOG_FILE
        self._finalizer: weakref.finalize[..., LogStorage] | None = None

    @property
    def path(self) -> Path:
        """The folder."""
        return self._path

    def has_study(self) -> bool:
        """Return whether the folder holds a study, or the beginning of one."""
        with schema.reported(self._path, "read"):
            return self._log.exists()

    def open(self) -> Records | None:
        """Make the folder if need be, become its only writer and return what it holds.

        Raises:
            StorageVersionError: the study was written by a later version.
            StorageError: another process writes it, it is damaged, or the folder holds something else or cannot be
                written.
        """
        with schema.reported(self._path, "write to"):
            prepare(self._path, LOG_FILE, OWN_FILES)
        lease = Lease(self._path)
        try:
            with schema.reported(self._log, "open"):
                stored, checksum = self._recovered()
                self._file = _Appender(self._log, checksum)
                sync_folder(self._path)
        except BaseException:
            lease.release()
            raise
        self._lease = lease
        # A study that is dropped without a word must not hold the folder, nor keep the threads.
        self._finalizer = weakref.finalize(self, _drop, self._file, lease)
        return stored

    def _recovered(self) -> tuple[Records | None, int]:
        """What the log holds and its checksum, after a torn end was cut off."""
        content = self._log.read_bytes() if self._log.exists() else b""
        end = whole_end(content, self._log)
        if end < len(content):
            torn = self._log.with_name(f"{LOG_FILE}.torn-{end}")
            replace_file(torn, content[end:])
            os.truncate(self._log, end)
            warn(
                f"{self._log} ended in the middle of a record: {len(content) - end} bytes were cut off and are kept in "
                f"{torn.name}; no whole record is lost"
            )
        whole = content[:end]
        return _records(whole, self._log) if whole else None, zlib.crc32(whole)

    def begin(self, records: Sequence[Record]) -> None:
        """Replace all that is stored by these records."""
        self._lease.check()
        version = [Record(_VERSION_KIND, "version", schema.SCHEMA_VERSION)]
        content = line_of(version, 0)
        content += line_of(records, zlib.crc32(content))
        with schema.reported(self._log, "write to"):
            replace_file(self._log, content)
            self._file.reopen(zlib.crc32(content))

    def write(self, records: Sequence[Record]) -> None:
        """Append records as one line."""
        self._lease.check()
        with schema.reported(self._log, "write to"):
            self._file.append(records)

    def read(self) -> Records:
        """Return what the folder holds, also while a process writes it, and where nothing may be written.

        Raises:
            StorageVersionError: the study was written by a later version.
            StorageError: the folder holds no study, or a damaged one.
        """
        if not self._log.is_file():
            raise StorageError(f"{self._path} holds no study; name the folder that a search wrote (--out)")
        with schema.reported(self._log, "read"):
            content = self._log.read_bytes()
        whole = content[: whole_end(content, self._log)]
        if not whole:
            raise StorageError(f"{self._path} holds no study yet: its run was cut while it began")
        return _records(whole, self._log)

    def is_being_written(self) -> bool:
        """Return whether the lease of the folder is alive."""
        return is_held(self._path)

    def close(self) -> None:
        """Bring everything to the disk and give the folder free; raises StorageError."""
        if self._finalizer is None or not self._finalizer.alive:
            return
        try:
            with schema.reported(self._log, "write to"):
                self._file.sync()
        finally:
            self._finalizer()


class _Appender:
    """Appends whole lines to a file that exists or is made, and syncs it within a second.

    Args:
        path: the file.
        checksum: of what it holds.
    """

    def __init__(self, path: Path, checksum: int) -> None:
        self._path = path
        self._open(checksum)

    def _open(self, checksum: int) -> None:
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _AS_BYTES, 0o644)
        self._size, self._checksum = os.fstat(self._descriptor).st_size, checksum
        self._sync = DeferredFsync(self._path)

    def append(self, records: Iterable[Record]) -> None:
        """Write records as a line, or nothing of it. Raises OSError."""
        line = line_of(records, self._checksum)
        try:
            written = 0
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
            self._sync.touch()
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size, self._checksum = self._size + written, zlib.crc32(line, self._checksum)

    def reopen(self, checksum: int) -> None:
        """Continue with the file that has taken the place of the old one."""
        self.close()
        self._open(checksum)

    def sync(self) -> None:
        """Wait for the disk. Raises OSError."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        self._sync.close()
        os.close(self._descriptor)


def whole_end(content: bytes, path: Path) -> int:
    """Return where the last whole line of a log ends.

    Raises:
        StorageError: a line is not what was written, and whole ones follow it: that is damage, not a torn end; or the
            file was never a log.
    """
    end = checked_end(content)
    if end is not None:
        return end
    are_whole = list(check_lines(content))
    n_whole = are_whole.index(False) if False in are_whole else len(are_whole)
    if any(are_whole[n_whole:]):
        raise StorageError(f"{path} is damaged: line {n_whole + 1} is not what was written; {REMEDY}")
    if not n_whole and content[: len(BEGINNING)] != BEGINNING[: len(content)]:
        raise StorageError(f"{path} is not a study of lswag-fast")
    if not n_whole and are_whole:  # the first line is written whole, with the file
        raise StorageError(f"{path} is damaged: line 1 is not what was written; {REMEDY}")
    return sum(len(line) + 1 for line in content.split(b"\n", n_whole)[:n_whole])


def _records(content: bytes, path: Path) -> Records:
    found: defaultdict[str, dict[Key, object]] = defaultdict(dict)
    with damage_named(path.parent):
        cells = decode_list(records_text(content))
        # Loops of few steps: there may be hundreds of thousands of records.
        for kind, key, value in zip(cells[::3], cells[1::3], cells[2::3], strict=True):
            found[kind][key] = value
        if set(map(type, found)) != {str} or not set(map(type, itertools.chain(*found.values()))) <= {int, str}:
            raise TypeError("a record has a name that is neither text nor number")
        version = found.pop(_VERSION_KIND)["version"]
        if type(version) is not int or version > schema.SCHEMA_VERSION:
            raise StorageVersionError(
                f"{path} has schema version {version}, this lswag-fast reads up to {schema.SCHEMA_VERSION}; "
                "use a newer one"
            )
    return dict(found)


def _drop(file: _Appender, lease: Lease) -> None:
    file.close()
    lease.release()
