"""One OpenMP runtime for torch and the extension: the one that torch brought.

Two of them in a process keep a pool of threads each, which compete for the same cores. So the extension asks for none
by name: its calls are bound to the runtime that is visible in the process when it is loaded.
"""

from __future__ import annotations

import ctypes
import re
import sys
from contextlib import suppress
from pathlib import Path

# GNU, LLVM and Intel runtimes; wheels rename their copies (libgomp-1a2b3c.so.1).
_OPENMP_LIBRARY = re.compile(r"/lib(gomp|iomp5|omp)[-.][^/]*$")
_PROCESS_MAPS = Path("/proc/self/maps")
# The call that begins a parallel region; all three runtimes have it on Linux.
_CALL = "GOMP_parallel"
# Where torch was built without OpenMP, that of the system.
_OF_THE_SYSTEM = "libgomp.so.1"


def openmp_runtimes(maps: Path = _PROCESS_MAPS) -> tuple[str, ...]:
    """Files of the OpenMP runtimes that a process has mapped, sorted; empty where `maps` does not exist."""
    if not maps.is_file():
        return ()
    # The path is the sixth field of a line; anonymous memory has none, and paths may hold spaces.
    fields = (line.split(maxsplit=5) for line in maps.read_text(encoding="utf-8", errors="replace").splitlines())
    paths = {field[5] for field in fields if len(field) == 6}
    return tuple(sorted(path for path in paths if _OPENMP_LIBRARY.search(path)))


def share_runtime() -> None:
    """Make the OpenMP runtime that torch brought visible to the extension, which is loaded next.

    torch shows it to all of the process by itself as a rule; where it does not, it is looked for among what is loaded.
    Where there is none, the import of the extension then says which call is missing.
    """
    if sys.platform != "linux":  # elsewhere the extension is linked with its runtime, or has none
        return
    for path in (*openmp_runtimes(), _OF_THE_SYSTEM):
        if hasattr(ctypes.CDLL(None), _CALL):
            return
        with suppress(OSError):
            ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
