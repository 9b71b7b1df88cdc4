"""A study in a file that only grows, `study.jsonl` in a folder: for network file systems.

Each line is one group of records as JSON, its length and its CRC-32 in front; `jq .records study.jsonl` shows
them.
"""

from __future__ import annotations

import itertools
import os
import warnings
import weakref
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from lswag_fast.errors import LswagWarning, StorageError, StorageVersionError
from lswag_fast.files.durable import DeferredFsync, replace_file, sync_folder
from lswag_fast.study.storage import schema
from lswag_fast.study.storage.folder import prepare
from lswag_fast.study.storage.lease import LEASE_FILE, Lease, is_held
from lswag_fast.study.storage.protocol import REMEDY, Key, Record, Records, damage_named, decode_all, encode

LOG_FILE = "study.jsonl"
# What may lie in a folder in which a run was killed before it had anything to keep.
OWN_FILES = {LOG_FILE, f"{LOG_FILE}.part", LEASE_FILE}
_HEAD = b'{"length":"%08x","crc32":"%08x","records":'
_HEAD_BYTES = len(_HEAD % (0, 0))
_BEGINNING = _HEAD[: _HEAD.index(b"%")]
_VERSION_KIND = "log"


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
                stored = self._recovered()
                self._file = _Appender(self._log)
                sync_folder(self._path)
        except BaseException:
            lease.release()
            raise
        self._lease = lease
        # A study that is dropped without a word must not hold the folder, nor keep the threads.
        self._finalizer = weakref.finalize(self, _drop, self._file, lease)
        return stored

    def _recovered(self) -> Records | None:
        """What the log holds, after a torn end was cut off."""
        content = self._log.read_bytes() if self._log.exists() else b""
        bodies, end = whole_lines(content, self._log)
        if end < len(content):
            torn = self._log.with_name(f"{LOG_FILE}.torn-{end}")
            replace_file(torn, content[end:])
            os.truncate(self._log, end)
            warnings.warn(
                f"{self._log} ended in the middle of a record: {len(content) - end} bytes were cut off and are kept in "
                f"{torn.name}; no whole record is lost",
                LswagWarning,
                stacklevel=2,
            )
        return _records(bodies, self._log) if bodies else None

    def begin(self, records: Sequence[Record]) -> None:
        """Replace all that is stored by these records."""
        self._lease.check()
        version = [Record(_VERSION_KIND, "version", schema.SCHEMA_VERSION)]
        with schema.reported(self._log, "write to"):
            replace_file(self._log, _line(version) + _line(records))
            self._file.reopen()

    def write(self, records: Sequence[Record]) -> None:
        """Append records as one line."""
        self._lease.check()
        with schema.reported(self._log, "write to"):
            self._file.append(_line(records))

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
        bodies, _ = whole_lines(content, self._log)
        if not bodies:
            raise StorageError(f"{self._path} holds no study yet: its run was cut while it began")
        return _records(bodies, self._log)

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
    """Appends whole lines to a file that exists or is made, and syncs it within a second."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open()

    def _open(self) -> None:
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._size = os.fstat(self._descriptor).st_size
        self._sync = DeferredFsync(self._path)

    def append(self, line: bytes) -> None:
        """Write a line, or nothing of it. Raises OSError."""
        try:
            written = 0
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
            self._size += written
            self._sync.touch()
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise

    def reopen(self) -> None:
        """Continue with the file that has taken the place of the old one."""
        self.close()
        self._open()

    def sync(self) -> None:
        """Wait for the disk. Raises OSError."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        self._sync.close()
        os.close(self._descriptor)


def _line(records: Iterable[Record]) -> bytes:
    body = b"[" + b",".join(encode(list(record)) for record in records) + b"]"
    return _HEAD % (len(body), zlib.crc32(body)) + body + b"}\n"


def whole_lines(content: bytes, path: Path) -> tuple[list[bytes], int]:
    """Return the records of each whole line as text, and where the last of them ends.

    Raises:
        StorageError: a line is not what was written, and whole ones follow it: that is damage, not a torn end; or the
            file was never a log.
    """
    lines = content.split(b"\n")
    torn = lines.pop()
    bodies = [line[_HEAD_BYTES:-1] for line in lines]
    # Comprehensions all through: there may be 100,000 lines.
    heads = [_HEAD % (len(body), zlib.crc32(body)) for body in bodies]
    is_whole = [line.startswith(head) and line.endswith(b"}") for line, head in zip(lines, heads, strict=True)]
    n_whole = is_whole.index(False) if False in is_whole else len(lines)
    if any(is_whole[n_whole:]):
        raise StorageError(f"{path} is damaged: line {n_whole + 1} is not what was written; {REMEDY}")
    if not n_whole and content[: len(_BEGINNING)] != _BEGINNING[: len(content)]:
        raise StorageError(f"{path} is not a study of lswag-fast")
    if not n_whole and lines:  # the first line is written whole, with the file
        raise StorageError(f"{path} is damaged: line 1 is not what was written; {REMEDY}")
    return bodies[:n_whole], len(content) - len(torn) - sum(len(line) + 1 for line in lines[n_whole:])


def _records(bodies: Sequence[bytes], path: Path) -> Records:
    found: defaultdict[str, dict[Key, object]] = defaultdict(dict)
    with damage_named(path.parent):
        for kind, key, value in itertools.chain.from_iterable(decode_all(bodies)):
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
