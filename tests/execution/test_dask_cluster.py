"""A Dask cluster of two worker processes on loopback."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from execution.jobs import Job, length_after_a_while, lines, process_of, refuse, sleeping
from lswag_fast.errors import ExecutorError, WorkerLostError
from lswag_fast.execution import open_executor, open_runner, run_in_order
from support.dask_cluster import dask_cluster

distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed (the extra `dask`)")
ARGUMENTS = [f"a{number}" for number in range(12)]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with dask_cluster(tmp_path_factory.mktemp("cluster"), n_workers=2) as address:
        with distributed.Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=600)
        yield address


def run_all(job: Any, address: str, arguments: list[str] = ARGUMENTS) -> dict[str, Any]:
    with open_executor(1, address) as executor, open_runner(job, executor) as runner:
        work = run_in_order(runner, ((argument, argument) for argument in arguments))
        return {argument: future.exception() or future.result() for argument, future in work}


def test_results_come_in_order_from_both_workers(address: str) -> None:
    found = run_all(length_after_a_while, address, ["a", "bb", "ccc", "dddd"])
    assert list(found.items()) == [("a", 1), ("bb", 2), ("ccc", 3), ("dddd", 4)]
    with open_executor(1, address) as executor, open_runner(process_of, executor) as runner:
        assert runner.n_slots == 2


def test_a_lost_workers_call_is_run_again_and_the_job_sent_once_a_process(address: str, tmp_path: Path) -> None:
    found = run_all(Job(tmp_path, dies_on="a4", times=1), address)
    assert found == {argument: argument.upper() for argument in ARGUMENTS}
    assert lines(tmp_path / "calls").count("a4") == 2
    readers = lines(tmp_path / "read")
    assert 1 <= len(readers) == len(set(readers)) <= 3


def test_all_workers_may_be_lost(address: str, tmp_path: Path) -> None:
    with open_executor(1, address) as executor:
        with open_runner(process_of, executor) as runner:
            pids = {runner.submit(argument).result() for argument in ARGUMENTS}
        with open_runner(Job(tmp_path), executor) as runner:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            assert [runner.submit(argument).result() for argument in ARGUMENTS] == [
                argument.upper() for argument in ARGUMENTS
            ]
    assert not pids & set(map(int, lines(tmp_path / "read")))


def test_a_call_that_ends_its_worker_every_time_fails_alone(address: str, tmp_path: Path) -> None:
    found = run_all(Job(tmp_path, dies_on="a4", times=99), address)
    error = found.pop("a4")
    assert isinstance(error, WorkerLostError)
    assert str(error) == "its worker process ended 4 times"
    assert found == {argument: argument.upper() for argument in ARGUMENTS if argument != "a4"}


def test_an_exception_travels_in_the_future(address: str) -> None:
    error = run_all(refuse, address, ["b"])["b"]
    assert isinstance(error, ValueError)
    assert str(error) == "b is refused"


def test_a_client_is_an_executor_and_keeps_nothing_of_the_job(address: str) -> None:
    with distributed.Client(address, set_as_default=False) as client:
        with open_runner(process_of, client.get_executor()) as runner:
            assert runner.submit("a").result() != os.getpid()
        client.wait_for_workers(2, timeout=600)  # one that another test killed is started again
        plugins = client.run(lambda dask_worker: [name for name in dask_worker.plugins if "lswag" in name])
        assert list(plugins.values()) == [[], []]


def test_a_lost_scheduler_ends_the_run_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lswag_fast.execution.dask_cluster.CONNECT_S", 5)
    with (
        dask_cluster(tmp_path, n_workers=1) as address,
        open_executor(1, address) as executor,
        open_runner(sleeping, executor) as runner,
    ):
        future = runner.submit(str(tmp_path))
        with distributed.Client(address, set_as_default=False) as client:
            scheduler = client.run_on_scheduler(os.getpid)
        os.kill(scheduler, signal.SIGKILL)
        assert "connection to the Dask scheduler was lost" in str(future.exception(timeout=60))
        with pytest.raises(ExecutorError, match="no connection to the Dask scheduler"):
            runner.submit("a")


def test_no_scheduler_and_no_workers_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONNECT_S", "FIRST_WORKER_S"):
        monkeypatch.setattr(f"lswag_fast.execution.dask_cluster.{name}", 2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ExecutorError, match=r"no Dask scheduler answers at tcp.*start one with `dask scheduler`"):
        run_all(refuse, nobody)
    (tmp_path / "empty").mkdir()
    no_workers = pytest.raises(ExecutorError, match="has no workers; start some with `dask worker")
    with dask_cluster(tmp_path / "empty", n_workers=0) as empty, no_workers:
        run_all(refuse, empty)


@pytest.mark.parametrize(
    "address", ["", "host", "tcp://", "tcp://:8786", "tcp://host:abc", "tcp://host:99999", "a://b:1"]
)
def test_what_is_no_address_is_refused_at_once(address: str) -> None:
    with pytest.raises(ExecutorError, match="is no address of a Dask scheduler"), open_executor(1, address):
        pass
