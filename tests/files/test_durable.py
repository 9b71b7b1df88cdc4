"""Files replaced whole, and synced soon."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lswag_fast.files import durable
from lswag_fast.files.durable import DeferredFsync, replace_file


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
