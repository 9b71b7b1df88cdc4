"""The lease of a folder: who holds it, when it is taken over, and what its former holder sees."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from lswag_fast.errors import StorageError
from lswag_fast.study.storage.lease import LEASE_FILE, Lease, is_held

ELSEWHERE = {"pid": 7, "host": "elsewhere", "boot": "other", "token": "x"}


def lease_of(folder: Path, owner: dict[str, object], age_s: float) -> None:
    path = folder / LEASE_FILE
    path.write_text(json.dumps(owner))
    os.utime(path, (time.time() - age_s, time.time() - age_s))


def test_a_held_folder_is_refused_naming_the_holder(tmp_path: Path) -> None:
    lease = Lease(tmp_path)
    assert is_held(tmp_path)
    with pytest.raises(StorageError, match=rf"being written by process {os.getpid()} on {os.uname().nodename}"):
        Lease(tmp_path)
    lease.release()
    assert not is_held(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_living_lease_of_another_host_is_respected_and_a_silent_one_taken_over(tmp_path: Path) -> None:
    lease_of(tmp_path, ELSEWHERE, age_s=5)
    with pytest.raises(StorageError, match="process 7 on elsewhere, which gave a sign of life"):
        Lease(tmp_path)
    lease_of(tmp_path, ELSEWHERE, age_s=31)
    Lease(tmp_path).release()


def test_the_lease_of_a_dead_process_of_this_host_is_taken_over_at_once(tmp_path: Path) -> None:
    lease_of(tmp_path, {"pid": 2**22 + 1, "host": os.uname().nodename, "boot": "", "token": "x"}, age_s=0)
    assert not is_held(tmp_path)
    Lease(tmp_path).release()


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"[]", b'{"pid": "x", "host": 1, "boot": []}', b"[" * 5000])
def test_odd_content_counts_as_somebody_until_it_is_old(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / LEASE_FILE
    path.write_bytes(content)
    with pytest.raises(StorageError, match="another process"):
        Lease(tmp_path)
    os.utime(path, (0, 0))
    Lease(tmp_path).release()


def test_a_holder_that_was_silent_too_long_learns_that_it_lost_the_folder(tmp_path: Path) -> None:
    lease = Lease(tmp_path, heartbeat_s=3600, stale_after_s=0)
    lease_of(tmp_path, ELSEWHERE, age_s=0)
    with pytest.raises(StorageError, match="taken over by process 7 on elsewhere"):
        lease.check()
    lease.release()
    assert json.loads((tmp_path / LEASE_FILE).read_text()) == ELSEWHERE


def test_a_process_of_another_container_counts_by_its_age_alone(tmp_path: Path) -> None:
    lease = Lease(tmp_path)
    owner = json.loads((tmp_path / LEASE_FILE).read_text())
    lease.release()
    dead = next(pid for pid in range(2**22 - 1, 2, -1) if not Path(f"/proc/{pid}").exists())
    (tmp_path / LEASE_FILE).write_text(json.dumps({**owner, "pid": dead, "namespace": "pid:[1]", "token": "y"}))
    with pytest.raises(StorageError, match=f"is being written by process {dead} on "):
        Lease(tmp_path)
    os.utime(tmp_path / LEASE_FILE, (0, 0))
    Lease(tmp_path).release()


@pytest.mark.parametrize("pid", [os.getpid(), 0, -1, 10**30], ids=["own", "0", "-1", "huge"])
def test_a_lease_that_is_silent_for_long_is_taken_over_whoever_bears_its_number(tmp_path: Path, pid: int) -> None:
    lease = Lease(tmp_path)
    owner = json.loads((tmp_path / LEASE_FILE).read_text())
    lease.release()
    (tmp_path / LEASE_FILE).write_text(json.dumps({**owner, "pid": pid, "token": "y"}))
    os.utime(tmp_path / LEASE_FILE, (0, 0))
    Lease(tmp_path).release()
