"""What a process has started."""

from __future__ import annotations

import os
from pathlib import Path


def workers_of(pid: int | None = None) -> list[int]:
    """The worker processes that a process, by default this one, has spawned from whichever of its threads."""
    threads = Path(f"/proc/{pid or os.getpid()}/task").iterdir()
    found = [child for thread in threads for child in (thread / "children").read_text().split()]
    return [int(child) for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
