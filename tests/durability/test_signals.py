"""Ctrl-C and SIGTERM to a program that calls `search()`: the result is stored, and the program ends as usual."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from durability.runs import N_TRIALS, STUCK_AT, outcome, run, slow_width, told
from lswag_fast.study.stored import read_study
from support.processes import heed_ctrl_c

ROOT = Path(__file__).parents[2]
SAMPLER = "evolution"
PATIENCE_S = 600


@pytest.fixture(scope="module")
def whole() -> list[tuple[Any, ...]]:
    return outcome(run(None, SAMPLER, score=slow_width))


def start(folder: Path, n_workers: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests")))}
    command = [sys.executable, "-m", "durability.runs", str(folder), "sqlite", SAMPLER, str(n_workers)]
    process = subprocess.Popen(
        command,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_ctrl_c,
    )
    deadline = time.monotonic() + PATIENCE_S
    while len(told(folder)) < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return process


@pytest.mark.parametrize("n_workers", [1, 2])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)])
def test_the_first_signal_ends_the_search_in_order(
    tmp_path: Path, whole: list[tuple[Any, ...]], number: signal.Signals, code: int, n_workers: int
) -> None:
    folder = tmp_path / "run"
    process = start(folder, n_workers)
    os.killpg(process.pid, number)  # as a terminal does: to the workers, too
    _, err = process.communicate(timeout=PATIENCE_S)
    # Ctrl-C is answered by the result, `stopped="interrupted"`; SIGTERM ends the program, after the result is stored.
    assert (process.returncode, err) == (code, "")
    study = read_study(folder)
    assert study.status == "interrupted"
    assert told(folder) == {trial.number for trial in study.trials}
    assert len((folder / "trials.csv").read_text().splitlines()) == 1 + len(study.trials) <= N_TRIALS
    assert outcome(run(folder, SAMPLER, score=slow_width)) == whole


def test_a_second_ctrl_c_ends_it_at_once_and_loses_nothing_told(
    tmp_path: Path, whole: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setenv(STUCK_AT, "4")  # three trials are told; only a second signal ends the score of the fourth
        process = start(folder, 1)
    process.send_signal(signal.SIGINT)
    time.sleep(1)  # two signals that wait together are one
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == -signal.SIGINT
    assert err.rstrip().endswith("KeyboardInterrupt")
    study = read_study(folder)
    assert study.status == "interrupted"
    assert told(folder) == {trial.number for trial in study.trials} == {0, 1, 2}
    assert outcome(run(folder, SAMPLER, score=slow_width)) == whole
