"""A disk that has no room left when a file is to be kept."""

from __future__ import annotations

import errno

import pytest

from lswag_fast.files import durable


def fill(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every file that is written whole fail before it takes the place of the old one."""

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(durable.os, "fsync", full)
