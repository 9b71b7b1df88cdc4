"""One writer per folder or file: a lock of the operating system, and who holds it."""

from __future__ import annotations

import json
import os
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import portalocker

from lswag_fast.errors import StorageError, reason

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Owner:
    """A process that writes.

    Attributes:
        pid: its id.
        host: the name of its host.
        boot: which start of that machine it belongs to; empty where the system does not say.
        namespace: of process ids, in which `pid` counts; two containers have each their own. Empty where unknown.

    Example:
        >>> Owner.this_process().is_alive
        True
    """

    pid: int
    host: str
    boot: str
    namespace: str = ""

    @classmethod
    def this_process(cls) -> Owner:
        """Return this process as an owner."""
        boot = _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.is_file() else ""
        return cls(os.getpid(), socket.gethostname(), boot, _namespace())

    @classmethod
    def from_json(cls, text: bytes) -> Owner | None:
        """Return the owner that a lock file names; None for what is none: empty, being written, or of another kind."""
        try:
            found = json.loads(text)
            owner = cls(found["pid"], found["host"], found["boot"], found.get("namespace", ""))
        except (TypeError, ValueError, KeyError, AttributeError, RecursionError):
            return None
        texts = {type(owner.host), type(owner.boot), type(owner.namespace)}
        return owner if type(owner.pid) is int and texts == {str} else None

    @property
    def is_here(self) -> bool:
        """Whether it runs, or ran, on this machine; containers on one machine may have names of their own."""
        here = Owner.this_process()
        return self.host == here.host or (self.boot == here.boot != "")

    @property
    def is_within_reach(self) -> bool:
        """Whether this process can tell if it runs: the same start of the machine, the same process ids.

        Never on Windows, where asking for a process by `os.kill` would interrupt it.
        """
        if sys.platform == "win32":
            return False
        here = Owner.this_process()
        same_machine = self.boot == here.boot if self.boot and here.boot else self.host == here.host
        return same_machine and self.namespace in ("", here.namespace) and self.pid > 0

    @property
    def is_alive(self) -> bool:
        """Whether the process may still run; always where that cannot be known (another machine, a container)."""
        if not self.is_within_reach:
            here = Owner.this_process()
            was_restarted = self.host == here.host and "" not in (self.boot, here.boot) and self.boot != here.boot
            return not was_restarted
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except OSError:  # it exists and belongs to somebody else
            return True
        return True


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def read_owner(path: Path) -> Owner | None:
    """Return who holds a lock file, or held it when it was killed; None for one that was released."""
    try:
        return Owner.from_json(path.read_bytes())
    except OSError:
        return None


def is_held(path: Path) -> bool:
    """Return whether a living process holds a lock file, as far as a reader can know.

    Example:
        >>> is_held(Path("no such.lock"))
        False
    """
    if sys.platform == "win32":  # there a file that is locked cannot be read
        try:
            path.read_bytes()
        except OSError as error:
            return isinstance(error, PermissionError)
        return False
    owner = read_owner(path)
    return owner is not None and owner.is_alive


class FileLock:
    """Holds a lock file until `release`, or until the process ends in whatever way.

    The system frees the lock of a dead process, so a run that was killed can be continued at once. Two machines that
    share a folder are kept apart by what the file says.

    Args:
        path: the lock file, in a folder that exists; made when it does not exist, and left there empty.
        guarded: what the lock is for, the folder or file that a refusal names.

    Raises:
        StorageError: another process holds it (named with its host), or the file cannot be written or locked.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> lock = FileLock(folder / "a.lock", folder)
        >>> read_owner(folder / "a.lock") == Owner.this_process()
        True
        >>> lock.release()
        >>> read_owner(folder / "a.lock") is None
        True
    """

    def __init__(self, path: Path, guarded: Path) -> None:
        self._guarded = guarded
        try:
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise StorageError(f"cannot write to {guarded}: {error.strerror}") from error
        try:
            portalocker.lock(self._file, portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING)
        except portalocker.AlreadyLocked:
            raise self._refused("wait until it ends, or name another place") from None
        except portalocker.LockException as error:
            self._file.close()
            why = error.__cause__ if isinstance(error.__cause__, OSError) else error
            raise StorageError(f"{guarded} cannot be locked ({reason(why)}); use a local folder") from error
        before = self._read()
        if before is not None and not before.is_here:
            raise self._refused(f"if that process is gone, delete {path}")
        self._write(json.dumps(asdict(Owner.this_process())).encode())

    def release(self) -> None:
        """Let another process take the lock; a second call does nothing."""
        if not self._file.closed:
            self._write(b"")
            self._file.close()

    def _refused(self, remedy: str) -> StorageError:
        owner = self._read()
        self._file.close()
        who = f"process {owner.pid} on {owner.host}" if owner else "another process"
        return StorageError(f"{self._guarded} is being written by {who}; {remedy}")

    def _read(self) -> Owner | None:
        try:
            self._file.seek(0)
            return Owner.from_json(self._file.read())
        except PermissionError:  # Windows keeps what another process has locked from being read
            return None

    def _write(self, text: bytes) -> None:
        # What the file says helps people; the lock itself does not depend on it, so a full disk is no obstacle here.
        try:
            self._file.truncate(0)
            self._file.write(text)
        except OSError:
            return
