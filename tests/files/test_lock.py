"""One writer: refused while another process lives, taken over when it is dead."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from lswag_fast.errors import StorageError
from lswag_fast.files.lock import FileLock, Owner, read_owner


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
