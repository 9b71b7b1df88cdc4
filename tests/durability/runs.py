"""Searches that are to be cut: what they search, what is compared, and ways to die at a marked point.

`python -m durability.runs FOLDER STORAGE SAMPLER N_WORKERS` runs one in a process of its own.
"""

from __future__ import annotations

import functools
import itertools
import json
import multiprocessing
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from multiprocessing.forkserver import ensure_running
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from lswag_fast.execution import open_executor
from lswag_fast.searching import search
from lswag_fast.study.loop import run_study
from lswag_fast.study.samplers import EvolutionSampler, Sampler, SteadyStateSampler
from lswag_fast.study.storage import LogStorage, SQLiteStorage, Storage
from lswag_fast.study.stored import SearchResult, StoredStudy
from lswag_fast.study.study import Study
from lswag_fast.study.trial import Trial
from study.toy_space import ToySpace, total_width

SAMPLERS: dict[str, str | Sampler] = {
    "random": "random",
    "evolution": EvolutionSampler(population=8, parents=3, mutations=4, crossovers=3),
    "steady_state": SteadyStateSampler(population=8, proposals_per_batch=1),
}
STORAGES: dict[str, Callable[[Path], Storage]] = {"sqlite": SQLiteStorage, "log": LogStorage}
N_TRIALS, N_FINALISTS = 30, 6
FINALISTS = "finalists"
"""In place of a sampler: a random search whose finalists are scored exactly, in the reverse order."""
TOLD_FILE = "told"  # beside the run folder
STUCK_AT = "DURABILITY_STUCK_AT"
_calls = itertools.count(1)
_write = os.write  # not a step towards the study

Score = Callable[[torch.nn.Module, Any], float]


def slow_width(model: torch.nn.Module, batch: Any) -> float:
    """`total_width` after a moment, so that something is in flight whenever a process is killed.

    In a process with `STUCK_AT` in its environment, the call of that number does not end.
    """
    stuck = next(_calls) == int(os.environ.get(STUCK_AT, "0"))
    time.sleep(600 if stuck else 0.02)
    return total_width(model, batch)


def run(
    folder: Path | None,
    sampler: str,
    storage: str = "sqlite",
    *,
    n_trials: int = N_TRIALS,
    score: Score = total_width,
    n_workers: int = 1,
    dask: str | None = None,
    callback: Callable[[Any, Trial], None] | None = None,
) -> SearchResult:
    """Run a search, or continue it, and write beside the folder each trial that was told."""

    def note(study: Any, trial: Trial) -> None:
        if folder is not None:
            note_told(folder, trial.number)
        if callback is not None:
            callback(study, trial)

    if sampler == FINALISTS:
        return _run_with_finalists(folder, storage, n_trials, note)
    with open_executor(n_workers, dask) as executor:
        return search(
            ToySpace(5, 6),
            None,
            proxy=score,
            n_trials=n_trials,
            sampler=SAMPLERS[sampler],
            seed=3,
            storage=None if folder is None else STORAGES[storage](folder),
            executor=executor,
            callbacks=(note,),
            n_threads=1,
        )


def _run_with_finalists(
    folder: Path | None, storage: str, n_trials: int, note: Callable[[Any, Trial], None]
) -> SearchResult:
    kept = None if folder is None else STORAGES[storage](folder)
    with Study(ToySpace(5, 6), "random", kept, 3, n_finalists=N_FINALISTS) as study:
        run_study(study, width_of, n_trials, exact_job=lambda text: -width_of(text), callbacks=(note,))
        return study.result()


def width_of(text: str) -> float:
    """`total_width` of an architecture's text."""
    return float(sum(json.loads(text)["widths"]))


def note_told(folder: Path, number: int) -> None:
    """Handed to the system, which keeps it when the process dies."""
    descriptor = os.open(folder.parent / TOLD_FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    _write(descriptor, f"{number}\n".encode())
    os.close(descriptor)


def told(folder: Path) -> set[int]:
    """The numbers of the trials that were told before a process died."""
    file = folder.parent / TOLD_FILE
    return {int(line) for line in file.read_text().split()} if file.exists() else set()


def outcome(study: StoredStudy) -> list[tuple[Any, ...]]:
    """All of the trials that two equal studies share: everything but times."""
    return [
        (t.number, t.arch_json, t.origin, t.proposal_batch, t.state, t.score, t.error, t.exact_score)
        for t in study.trials
    ]


@functools.cache
def _fork_server() -> ForkServerContext:
    """Forks processes from one that has imported torch and never used it: each is there at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # where it finds what it loads
    try:
        ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before
    return context


def killed_at_mark(folder: Path, sampler: str, mark: int, storage: str = "sqlite") -> int:
    """Run a search that kills itself at its `mark`-th step towards the disk; return how many such steps there were.

    A step is a statement of SQLite, a sync, a renaming, or half of a line of a log, each counted before it happens.
    """
    marks = _fork_server().RawValue("q", 0)  # a lock of processes would stay locked by the dead one
    process = _fork_server().Process(target=_run_to_mark, args=(folder, sampler, mark, marks, storage))
    process.start()
    process.join()
    return int(marks.value)


def started(folder: Path, sampler: str, score: Score = total_width, storage: str = "sqlite") -> BaseProcess:
    """Start a search in a process of its own."""
    process = _fork_server().Process(target=run, args=(folder, sampler, storage), kwargs={"score": score})
    process.start()
    return process


def _run_to_mark(folder: Path, sampler: str, mark: int, marks: Any, storage: str) -> None:
    lock = threading.Lock()  # the thread that syncs takes steps, too

    def step(*_: Any) -> None:
        with lock:
            marks.value += 1
            if marks.value == mark:
                os.kill(os.getpid(), signal.SIGKILL)

    connect = sqlite3.connect

    def traced(*args: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*args, **options)
        connection.set_trace_callback(step)
        return connection

    sqlite3.connect = traced  # type: ignore[assignment]
    os.fsync = _stepping(os.fsync, step)
    os.replace = _stepping(os.replace, step)
    os.write = _in_halves(step)  # only the log calls it
    run(folder, sampler, storage)


def _in_halves(step: Callable[[], None]) -> Callable[[int, bytes], int]:
    def write(descriptor: int, data: bytes) -> int:
        step()
        half = _write(descriptor, data[: len(data) // 2])
        step()
        return half + _write(descriptor, data[half:])

    return write


def _stepping(function: Callable[..., Any], step: Callable[[], None]) -> Callable[..., Any]:
    def stepping(*args: Any, **options: Any) -> Any:
        step()
        return function(*args, **options)

    return stepping


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[3], sys.argv[2], n_workers=int(sys.argv[4]), score=slow_width)
