"""One writer a run folder: a lock of the operating system, and who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from lswag_fast.errors import StorageError

LOCK_FILE = "study.lock"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Owner:
    """A process that writes a run: its id, the name of its host, and which start of that machine it belongs to."""

    pid: int
    host: str
    boot: str

    @classmethod
    def this_process(cls) -> Owner:
        """Return this process as an owner."""
        boot = _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.is_file() else ""
        return cls(os.getpid(), socket.gethostname(), boot)

    @property
    def is_here(self) -> bool:
        """Whether it runs, or ran, on this machine; containers on one machine may have names of their own."""
        here = Owner.this_process()
        return self.host == here.host or (self.boot == here.boot != "")

    @property
    def is_alive(self) -> bool:
        """Whether the process may still run; always for one of another machine."""
        if not self.is_here:
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:  # it exists and belongs to somebody else
            return True
        return True


def read_owner(folder: Path) -> Owner | None:
    """Return who holds a run folder, or held it when it was cut; None for one that was closed."""
    try:
        return _owner((folder / LOCK_FILE).read_bytes())
    except OSError:
        return None


def _owner(text: bytes) -> Owner | None:
    try:
        return Owner(**json.loads(text))
    except (TypeError, ValueError, RecursionError):  # empty, or being written
        return None


class RunLock:
    """Holds a run folder until `release`, or until the process ends in whatever way.

    The system frees the lock of a dead process, so a run that was killed can be continued at once. Two machines that
    share the folder are kept apart by what the file says.

    Args:
        folder: the run folder, which exists.

    Raises:
        StorageError: another process holds it (named with its host), or the folder cannot be locked.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / LOCK_FILE
        try:
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise StorageError(f"cannot write to {folder}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._refused(folder, "wait until it ends, or name another folder") from None
        except OSError as error:
            self._file.close()
            raise StorageError(f"{folder} cannot be locked ({error.strerror}); use a local folder") from error
        before = self._read()
        if before is not None and not before.is_here:
            raise self._refused(folder, f"if that process is gone, delete {path}")
        self._write(json.dumps(asdict(Owner.this_process())).encode())

    def release(self) -> None:
        """Give the folder free."""
        self._write(b"")
        self._file.close()

    def _refused(self, folder: Path, remedy: str) -> StorageError:
        owner = self._read()
        self._file.close()
        who = f"process {owner.pid} on {owner.host}" if owner else "another process"
        return StorageError(f"{folder} is being written by {who}; {remedy}")

    def _read(self) -> Owner | None:
        self._file.seek(0)
        return _owner(self._file.read())

    def _write(self, text: bytes) -> None:
        # What the file says helps people; the lock itself does not depend on it, so a full disk is no obstacle here.
        try:
            self._file.truncate(0)
            self._file.write(text)
        except OSError:
            return
