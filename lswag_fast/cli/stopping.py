"""How a search ends early: by Ctrl-C or SIGTERM, what is said and with which code; or refused, leaving nothing."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lswag_fast.errors import LswagError, StorageError

if TYPE_CHECKING:
    from lswag_fast.execution import Interrupts

# What a shell reports of a process that a signal ended.
_SIGNALLED = 128


def said_aloud(running: str = "the candidates that are running") -> Interrupts:
    """Return `Interrupts` that says on stderr what the first signal does: wait for what is `running`, and stop."""
    from lswag_fast.execution import Interrupts  # loads torch, which the help must not wait for

    return Interrupts(on_first=partial(_say_what_happens, running))


def exit_code(interrupts: Interrupts) -> int:
    """Return 130 after Ctrl-C and 143 after SIGTERM."""
    return _SIGNALLED + (interrupts.received or signal.SIGINT)


def _say_what_happens(running: str, number: signal.Signals) -> None:
    # Inside a signal handler: the main thread may be in the middle of writing through a buffer.
    text = f"\n{number.name}: stopping after {running}; once more stops at once\n"
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, text.encode())


@contextmanager
def leaving_nothing_refused(folder: Path) -> Iterator[None]:
    """Inside, a search that is refused before its first trial leaves its folder, and those above it, as they were.

    Raises:
        StorageError: the folder cannot even be looked for.
    """
    try:
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        before = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    except OSError as error:
        raise StorageError(f"cannot read {folder}: {error.strerror or error}") from error
    try:
        yield
    except StorageError:  # what lies in the folder may be another process's
        _remove_empty(made)
        raise
    except LswagError:
        own = _names_of_a_study()
        if before.isdisjoint(own) and folder.is_dir() and not _has_trials(folder):
            for file in folder.iterdir():
                if file.name in own:
                    file.unlink()
        _remove_empty(made)
        raise


def _names_of_a_study() -> set[str]:
    from lswag_fast.study.storage import log, sqlite

    return log.OWN_FILES | sqlite.OWN_FILES


def _remove_empty(folders: list[Path]) -> None:
    """Remove the folders, the inner ones first, up to one that holds something."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _has_trials(folder: Path) -> bool:
    from lswag_fast.study.stored import read_study

    try:
        return bool(read_study(folder).trials)
    except StorageError:  # of a study that was refused before it was begun
        return False
