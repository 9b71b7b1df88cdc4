"""Several processes and one run folder: one writes, the others are refused or only look."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from durability.runs import N_TRIALS, SAMPLERS, outcome, run, slow_width, started, told
from lswag_fast.errors import StorageError
from lswag_fast.study.stored import read_study
from study.toy_space import total_width

SAMPLER = "evolution"
PATIENCE_S = 600


def wait_for_trials(folder: Path, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while len(told(folder)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_second_writer_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = started(folder, SAMPLER)
    try:
        wait_for_trials(folder, 1)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)  # in the middle of its run
        with pytest.raises(StorageError, match=f"process {process.pid} on {socket.gethostname()}"):
            run(folder, SAMPLER)
        os.kill(process.pid, signal.SIGCONT)
    finally:
        process.join()
    assert process.exitcode == 0
    assert outcome(read_study(folder)) == outcome(run(None, SAMPLER))


def test_a_viewer_sees_a_true_beginning_and_disturbs_nothing(tmp_path: Path) -> None:
    folder, whole = tmp_path / "run", outcome(run(None, SAMPLER))
    process = started(folder, SAMPLER, slow_width)
    seen = []
    while process.is_alive():
        try:
            study = read_study(folder)
        except StorageError:
            assert not seen  # only before there is anything
            continue
        seen.append(len(study.trials))
        assert outcome(study) == whole[: len(study.trials)]
        assert study.status in ("running", "finished")
    process.join()
    assert process.exitcode == 0
    assert seen == sorted(seen)
    assert any(0 < count < N_TRIALS for count in seen)
    assert outcome(read_study(folder)) == whole


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_can_be_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = run(folder, SAMPLER)
    for path in (*folder.iterdir(), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert outcome(read_study(folder)) == outcome(result)
    finally:
        folder.chmod(0o755)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_two_studies_in_threads_of_one_process_do_not_mix(tmp_path: Path, sampler: str) -> None:
    results: dict[str, Any] = {}

    def search_in(name: str) -> None:
        results[name] = outcome(run(tmp_path / name / "run", sampler, score=total_width))

    threads = [threading.Thread(target=search_in, args=(name,)) for name in ("a", "b")]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results["a"] == results["b"] == outcome(run(None, sampler))
