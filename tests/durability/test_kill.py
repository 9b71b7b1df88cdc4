"""kill -9 at any moment: no told trial is lost, and continuing it gives the study of a search that was never cut."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from durability.runs import (
    FINALISTS,
    N_TRIALS,
    SAMPLERS,
    STORAGES,
    Score,
    killed_at_mark,
    outcome,
    run,
    slow_width,
    started,
    told,
)
from lswag_fast.errors import StorageError
from lswag_fast.study.stored import read_study
from study.toy_space import total_width

ROOT = Path(__file__).parents[2]
# The fewest rounds of the slow lane, over all samplers and ways to die.
RANDOM_ROUNDS = 40
WORKER_ROUNDS = 5
# The thread that syncs may do so once more or less, as time goes: a run may end before the last few marks of another.
UNSURE_MARKS = 3
PATIENCE_S = 600

# A line of a log that was being written is cut off, and the search says so.
pytestmark = pytest.mark.filterwarnings("ignore:.*ended in the middle of a record")

Rows = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def whole() -> dict[str, Rows]:
    """What the searches find when nobody cuts them."""
    return {sampler: outcome(run(None, sampler)) for sampler in [*SAMPLERS, FINALISTS]}


def check_what_is_left(folder: Path, whole: Rows) -> None:
    """All that was told is there, as the uninterrupted search has it."""
    try:
        kept = outcome(read_study(folder))
    except StorageError:
        kept = []  # cut before there was a study
    numbers = {row[0] for row in kept}
    assert told(folder) <= numbers
    told_of = [row for row in whole if row[0] in numbers]
    # Exact scores count once the finalists have all of them.
    assert kept in (told_of, [(*row[:-1], None) for row in told_of])


def check_continued(
    folder: Path, sampler: str, storage: str, whole: Rows, score: Score = total_width, n_workers: int = 1
) -> None:
    check_what_is_left(folder, whole)
    result = run(folder, sampler, storage, score=score, n_workers=n_workers)
    assert result.stopped == "finished"
    assert outcome(result) == whole
    assert outcome(read_study(folder)) == whole
    assert len((folder / "trials.csv").read_text().splitlines()) == 1 + len(whole)
    assert json.loads((folder / "result.json").read_text())["stopped"] == "finished"


def n_marks(folder: Path, sampler: str, storage: str) -> int:
    return killed_at_mark(folder, sampler, 0, storage)


def check_marks(folder: Path, sampler: str, storage: str, whole: Rows, marks: range, n_sure: int) -> None:
    for mark in marks:
        run_folder = folder / str(mark) / "run"
        run_folder.parent.mkdir()
        assert killed_at_mark(run_folder, sampler, mark, storage) == mark or mark > n_sure
        check_continued(run_folder, sampler, storage, whole)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("sampler", [*SAMPLERS, FINALISTS])
def test_killed_at_a_few_marks(tmp_path: Path, whole: dict[str, Rows], sampler: str, storage: str) -> None:
    total = n_marks(tmp_path / "all", sampler, storage)
    check_marks(tmp_path, sampler, storage, whole[sampler], range(1, total + 1, total // 5), total - UNSURE_MARKS)


@pytest.mark.slow
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("sampler", [*SAMPLERS, FINALISTS])
def test_killed_at_every_mark(tmp_path: Path, whole: dict[str, Rows], sampler: str, storage: str) -> None:
    total = n_marks(tmp_path / "all", sampler, storage)
    assert total > 2 * N_TRIALS  # two steps or more per trial
    check_marks(tmp_path, sampler, storage, whole[sampler], range(1, total + 1), total - UNSURE_MARKS)


def check_random_moments(folder: Path, sampler: str, storage: str, whole: Rows, n_rounds: int) -> None:
    rng = random.Random(f"moments of {sampler}")
    n_killed = 0
    for number in range(n_rounds):
        run_folder = folder / str(number) / "run"
        run_folder.parent.mkdir()
        process = started(run_folder, sampler, storage=storage)
        wanted = rng.randrange(N_TRIALS - 5)
        while len(told(run_folder)) < wanted and process.is_alive():
            pass
        time.sleep(rng.uniform(0, 0.002))  # about what a trial takes
        process.kill()
        process.join()
        n_killed += process.exitcode == -signal.SIGKILL
        check_continued(run_folder, sampler, storage, whole)
    assert n_killed > n_rounds // 3  # the others had ended before, while the system did something else


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_killed_at_some_moments(tmp_path: Path, whole: dict[str, Rows], sampler: str, storage: str) -> None:
    check_random_moments(tmp_path, sampler, storage, whole[sampler], 3)


@pytest.mark.slow
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_killed_at_many_moments(tmp_path: Path, whole: dict[str, Rows], sampler: str, storage: str) -> None:
    check_random_moments(tmp_path, sampler, storage, whole[sampler], RANDOM_ROUNDS)


def check_killed_with_workers(folder: Path, sampler: str, storage: str, whole: Rows, n_rounds: int) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests")))}
    rng = random.Random(f"workers of {sampler}")
    for number in range(n_rounds):
        run_folder = folder / str(number) / "run"
        run_folder.parent.mkdir()
        command = [sys.executable, "-m", "durability.runs", str(run_folder), storage, sampler, "3"]
        process = subprocess.Popen(command, env=environment)
        wanted, deadline = rng.randrange(1, N_TRIALS), time.monotonic() + PATIENCE_S
        while len(told(run_folder)) < wanted and process.poll() is None:
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGKILL)
        process.wait()
        check_continued(run_folder, sampler, storage, whole, slow_width, n_workers=3)


def test_killed_while_three_workers_run(tmp_path: Path, whole: dict[str, Rows]) -> None:
    check_killed_with_workers(tmp_path, "evolution", "sqlite", whole["evolution"], 1)


@pytest.mark.slow
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_killed_often_while_three_workers_run(
    tmp_path: Path, whole: dict[str, Rows], sampler: str, storage: str
) -> None:
    check_killed_with_workers(tmp_path, sampler, storage, whole[sampler], WORKER_ROUNDS)
