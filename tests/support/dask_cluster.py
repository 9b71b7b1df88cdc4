"""A Dask cluster as people start one: a scheduler and worker processes, on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Of waiting for the scheduler; far more than it takes on a busy machine.
_PATIENCE_S = 600


@contextmanager
def dask_cluster(folder: Path, n_workers: int) -> Iterator[str]:
    """Start a cluster with its files in `folder`; yields the address of the scheduler. A killed worker is restarted."""
    file = folder / "scheduler.json"
    with (folder / "log").open("w") as log:
        processes = [_start(folder, log, "dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")]
        if n_workers:
            workers = ("--nworkers", str(n_workers), "--nthreads", "1", "--no-dashboard")
            processes.append(_start(folder, log, "dask_worker", *workers))
        try:
            yield _address(file)
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait()


def _start(folder: Path, log: object, module: str, *options: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests")))}
    command = [sys.executable, "-m", f"distributed.cli.{module}", "--scheduler-file", str(folder / "scheduler.json")]
    return subprocess.Popen([*command, *options], cwd=folder, env=environment, stdout=log, stderr=log)


def _address(file: Path) -> str:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        try:
            return str(json.loads(file.read_text())["address"])
        except (OSError, ValueError):
            time.sleep(0.05)
    raise TimeoutError(f"no scheduler; see {file.parent / 'log'}")
