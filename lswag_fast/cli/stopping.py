"""How a search ends early: by Ctrl-C or SIGTERM, what is said and with which code; or refused, leaving nothing."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lswag_fast.errors import LswagError, StorageError

if TYPE_CHECKING:
    from lswag_fast.execution import Interrupts

# What a shell reports of a process that a signal ended.
_SIGNALLED = 128


def said_aloud() -> Interrupts:
    """Return `Interrupts` that says on stderr what the first signal does."""
    from lswag_fast.execution import Interrupts  # loads torch, which the help must not wait for

    return Interrupts(on_first=_say_what_happens)


def exit_code(interrupts: Interrupts) -> int:
    """Return 130 after Ctrl-C and 143 after SIGTERM."""
    return _SIGNALLED + (interrupts.received or signal.SIGINT)


def _say_what_happens(number: signal.Signals) -> None:
    # Inside a signal handler: the main thread may be in the middle of writing through a buffer.
    text = f"\n{number.name}: stopping after the candidates that are running; once more stops at once\n"
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, text.encode())


@contextmanager
def leaving_nothing_refused(folder: Path) -> Iterator[None]:
    """Inside, a search that is refused before its first trial leaves no folder, if there was none before."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    except StorageError:  # another process may have made it
        raise
    except LswagError:
        if folder in made and folder.exists() and not _has_trials(folder):
            shutil.rmtree(folder)
            for path in made[1:]:
                path.rmdir()
        raise


def _has_trials(folder: Path) -> bool:
    from lswag_fast.study.stored import read_study

    return bool(read_study(folder).trials)
