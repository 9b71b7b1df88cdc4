"""Files replaced whole, and synced soon."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from lswag_fast.errors import StorageError
from lswag_fast.files import durable
from lswag_fast.files.durable import DeferredFsync, replace_file, write_whole


def test_a_replaced_file_is_the_old_one_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    replace_file(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(durable.os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            replace_file(path, b"new")
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"old", [path])
    replace_file(path, b"new")
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"new", [path])


def test_a_file_is_written_whole_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "page.html"
    write_whole(path, b"whole")
    assert path.read_bytes() == b"whole"
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(StorageError, match="cannot write /dev/null/x"):
        write_whole(Path("/dev/null/x"), b"")


def test_a_device_is_written_to_and_stays_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_whole(tmp_path / "pipe", b"through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert [path.is_fifo() for path in tmp_path.iterdir()] == [True]
    if Path("/dev/full").exists():
        with pytest.raises(StorageError, match="cannot write /dev/full: No space left"):
            write_whole(Path("/dev/full"), b"much")


def test_a_touched_file_is_synced_in_the_background(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    path.touch()
    synced = threading.Event()
    monkeypatch.setattr(durable.os, "fsync", lambda descriptor: synced.set())
    sync = DeferredFsync(path)
    sync.touch()
    assert synced.wait(timeout=60)
    sync.close()


def test_a_sync_that_failed_is_said_at_the_next_touch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    path.touch()

    def full(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(durable.os, "fsync", full)
    sync = DeferredFsync(path)
    sync.touch()
    sync._thread.join(timeout=60)  # it ends when a sync fails
    with pytest.raises(OSError, match="Input/output error"):
        sync.touch()
    sync.close()
