"""One writer: refused while another process lives, taken over when it is dead."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import portalocker
import pytest

from lswag_fast.errors import StorageError
from lswag_fast.files.lock import FileLock, Owner, is_held, read_owner


def test_a_second_holder_is_refused_and_the_first_one_named(tmp_path: Path) -> None:
    path, guarded = tmp_path / "a.lock", tmp_path / "a.csv"
    lock = FileLock(path, guarded)
    with pytest.raises(StorageError, match=rf"a\.csv is being written by process {os.getpid()} on .*; wait until"):
        FileLock(path, guarded)
    assert read_owner(path) == Owner.this_process()
    lock.release()
    lock.release()
    FileLock(path, guarded).release()


OWNER = {"pid": 1, "host": "a", "boot": "b", "namespace": ""}


@pytest.mark.parametrize(
    "content",
    ["", "{", "[1]", '"text"', "null", "1e999", '{"pid": 1}', json.dumps({"pid": 1, "host": "a", "b": 2})]
    + [json.dumps({**OWNER, "pid": pid}) for pid in ("7", None, 7.5, True, [])]
    + [json.dumps({**OWNER, name: None}) for name in ("host", "boot", "namespace")],
)
def test_a_lock_that_says_nothing_is_taken(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.lock"
    path.write_text(content)
    assert read_owner(path) is None
    FileLock(path, tmp_path).release()


def test_the_lock_of_a_dead_process_is_taken_and_that_of_another_machine_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    dead = Owner(2**22 + 1, socket.gethostname(), "x")
    assert not dead.is_alive
    path.write_text(json.dumps(vars(dead)))
    FileLock(path, tmp_path).release()
    elsewhere = Owner(7, "elsewhere", "other")
    assert elsewhere.is_alive
    path.write_text(json.dumps(vars(elsewhere)))
    with pytest.raises(StorageError, match=r"by process 7 on elsewhere; if that process is gone, delete .*a\.lock"):
        FileLock(path, tmp_path)
    assert read_owner(path) == elsewhere


def test_a_lock_that_cannot_be_made_names_what_it_is_for(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot write to .*a\.csv: No such file"):
        FileLock(tmp_path / "missing" / "a.lock", tmp_path / "a.csv")


def test_a_lock_is_held_from_its_making_to_its_release_or_the_end_of_its_process(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    assert not is_held(path)
    lock = FileLock(path, tmp_path)
    assert is_held(path)
    lock.release()
    assert not is_held(path)
    path.write_text(json.dumps(vars(Owner(2**22 + 1, socket.gethostname(), ""))))
    assert not is_held(path)


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    code = (
        "import sys, time; from pathlib import Path; from lswag_fast.files.lock import FileLock\n"
        "lock = FileLock(Path(sys.argv[1]), Path(sys.argv[1])); print('held', flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        assert is_held(path)
        with pytest.raises(StorageError, match=f"is being written by process {process.pid} on "):
            FileLock(path, path)
        process.kill()
    assert not is_held(path)
    FileLock(path, path).release()


def test_a_file_system_without_locks_is_named_with_what_it_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(portalocker.portalocker, "LOCKER", no_locks)
    with pytest.raises(StorageError, match=r"a\.csv cannot be locked \(No locks available\); use a local folder"):
        FileLock(tmp_path / "a.lock", tmp_path / "a.csv")
