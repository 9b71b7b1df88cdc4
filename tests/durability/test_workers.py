"""Many workers, some of them killed, give the study that one process gives."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from durability.runs import SAMPLERS, outcome, run, slow_width
from lswag_fast.study.trial import Trial
from support.dask_cluster import dask_cluster
from support.processes import workers_of

Rows = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def whole() -> dict[str, Rows]:
    return {sampler: outcome(run(None, sampler, score=slow_width)) for sampler in SAMPLERS}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_three_workers_give_the_study_of_one(tmp_path: Path, whole: dict[str, Rows], sampler: str) -> None:
    result = run(tmp_path / "run", sampler, score=slow_width, n_workers=3)
    assert outcome(result) == whole[sampler]


class KillsOnce:
    """A callback that kills one of the processes that `find` names, when the trial with this number was told."""

    def __init__(self, number: int, find: Any) -> None:
        self.number, self.find, self.killed = number, find, 0

    def __call__(self, study: Any, trial: Trial) -> None:
        if trial.number == self.number:
            self.killed = self.find()[0]
            os.kill(self.killed, signal.SIGKILL)


@pytest.mark.parametrize("number", [0, 7, 20])
def test_a_worker_killed_in_mid_run_changes_nothing(tmp_path: Path, whole: dict[str, Rows], number: int) -> None:
    kill = KillsOnce(number, workers_of)
    result = run(tmp_path / "run", "evolution", score=slow_width, n_workers=3, callback=kill)
    assert kill.killed
    assert outcome(result) == whole["evolution"]


def test_a_killed_dask_worker_changes_nothing(tmp_path: Path, whole: dict[str, Rows]) -> None:
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed (the extra `dask`)")
    (tmp_path / "cluster").mkdir()
    with dask_cluster(tmp_path / "cluster", n_workers=2) as address:
        with distributed.Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=600)
            pids = list(client.run(os.getpid).values())
        assert len(set(pids)) == 2
        kill = KillsOnce(5, lambda: pids)
        result = run(tmp_path / "run", "evolution", score=slow_width, dask=address, callback=kill)
    assert kill.killed in pids
    assert outcome(result) == whole["evolution"]
