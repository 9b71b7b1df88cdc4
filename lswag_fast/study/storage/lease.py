"""One writer per folder where the locks of the system cannot be trusted: a lease that its holder keeps renewing.

The lease is a file that names its holder and is touched every few seconds. A lease that nobody touched for long is
taken over. Its age is the difference of two times that the file server gave, so clocks that differ do not matter.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from lswag_fast.errors import StorageError
from lswag_fast.files.lock import Owner

LEASE_FILE = "study.lease"
HEARTBEAT_S = 5.0
# Six heartbeats: a network file system may hang for some seconds without anybody being dead.
STALE_AFTER_S = 30.0
# A reader has no time of the file server to compare with; clocks may differ by so much.
CLOCK_SKEW_S = 60.0


class Lease:
    """Holds a folder until `release`; a thread renews it.

    Args:
        folder: the folder, which exists.
        heartbeat_s: seconds between two signs of life.
        stale_after_s: a lease without a sign of life for longer is taken over.

    Raises:
        StorageError: a living process holds it (named with its host), or the folder cannot be written.
    """

    def __init__(self, folder: Path, heartbeat_s: float = HEARTBEAT_S, stale_after_s: float = STALE_AFTER_S) -> None:
        self._path = folder / LEASE_FILE
        self._token = uuid.uuid4().hex
        self._heartbeat_s, self._stale_after_s = heartbeat_s, stale_after_s
        self._error: StorageError | None = None
        self._closed = threading.Event()
        try:
            self._acquire(folder)
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"cannot write to {folder}: {error.strerror or error}") from error
        self._thread = threading.Thread(target=self._run, name="lswag-fast lease", daemon=True)
        self._thread.start()

    def _acquire(self, folder: Path) -> None:
        for _ in range(3):
            if self._create():
                return
            content = _content(self._path)
            if content is None:
                continue  # released in this very moment
            owner, age = Owner.from_json(content), self._age()
            if not _is_dead(owner, age, self._stale_after_s):
                who = f"process {owner.pid} on {owner.host}" if owner else "another process"
                raise StorageError(
                    f"{folder} is being written by {who}, which gave a sign of life {max(age, 0.0):.0f} s ago; "
                    f"wait until it ends, or name another folder; "
                    f"a lease silent for {self._stale_after_s:.0f} s is taken over"
                )
            self._remove(content)
        raise StorageError(f"{folder} is wanted by several processes at once; try again")

    def _create(self) -> bool:
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return False
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps({**asdict(Owner.this_process()), "token": self._token}).encode())
            file.flush()
            os.fsync(descriptor)
        return True

    def _age(self) -> float:
        """Seconds since the last sign of life, by the clock that stamps the files."""
        probe = self._path.with_name(f"{LEASE_FILE}.{self._token}")
        try:
            probe.write_bytes(b"")
            return probe.stat().st_mtime - self._path.stat().st_mtime
        except FileNotFoundError:
            return 0.0
        finally:
            probe.unlink(missing_ok=True)

    def _remove(self, content: bytes) -> None:
        """Move a dead lease aside, which only one of several processes can do, and drop it."""
        aside = self._path.with_name(f"{LEASE_FILE}.{self._token}")
        try:
            self._path.rename(aside)
        except FileNotFoundError:
            return
        if _content(aside) != content:  # somebody was quicker, and this is the new lease
            aside.rename(self._path)
            return
        aside.unlink()

    def check(self) -> None:
        """Raise StorageError if the lease was lost, as after a long sleep of the machine.

        Looked up each time: the clocks of a process may stand still while its machine sleeps.
        """
        self._refuse_another_holder()
        if self._error is not None:
            raise self._error

    def _refuse_another_holder(self) -> None:
        content = _content(self._path)
        if content is not None and self._token.encode() in content:
            return
        owner = None if content is None else Owner.from_json(content)
        who = f"process {owner.pid} on {owner.host}" if owner else "another process"
        self._error = StorageError(f"{self._path.parent} was taken over by {who} while this process was silent")

    def _run(self) -> None:
        while not self._closed.wait(self._heartbeat_s):
            self._refuse_another_holder()
            if self._error is not None:
                return
            with suppress(OSError):  # tried again soon
                os.utime(self._path)

    def release(self) -> None:
        """Give the folder free."""
        self._closed.set()
        self._thread.join()
        content = _content(self._path)
        if content is not None and self._token.encode() in content:
            self._path.unlink(missing_ok=True)


def is_held(folder: Path) -> bool:
    """Whether a living process holds a folder, as far as a reader can know."""
    path = folder / LEASE_FILE
    content = _content(path)
    if content is None:
        return False
    try:
        age = time.time() - path.stat().st_mtime
    except OSError:
        return False
    return not _is_dead(Owner.from_json(content), age, STALE_AFTER_S + CLOCK_SKEW_S)


def _is_dead(owner: Owner | None, age: float, stale_after_s: float) -> bool:
    known_dead = owner is not None and owner.is_within_reach and not owner.is_alive  # the system knows at once
    return known_dead or age > stale_after_s


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
