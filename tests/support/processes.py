"""What a process has started, and starting one that can be interrupted."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def heed_ctrl_c() -> None:
    """For `preexec_fn`: a shell that runs the tests in the background has them, and what they start, ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def workers_of(pid: int | None = None) -> list[int]:
    """The worker processes that a process, by default this one, has spawned from whichever of its threads."""
    threads = Path(f"/proc/{pid or os.getpid()}/task").iterdir()
    found = [child for thread in threads for child in (thread / "children").read_text().split()]
    return [int(child) for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
