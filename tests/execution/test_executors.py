"""Runners: the same results, in order, whatever runs the job."""

from __future__ import annotations

import threading
import warnings
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import pytest

from execution import jobs
from execution.jobs import length_after_a_while, process_of, refuse, warn
from lswag_fast.errors import ExecutorError, InputError, LswagWarning
from lswag_fast.execution import WorkerProcesses, open_executor, open_runner, run_in_order

ARGUMENTS = ["a", "bb", "ccc", "dddd"]


def results(job: Any, executor: Executor | None, arguments: list[str] = ARGUMENTS) -> list[tuple[str, Any]]:
    with open_runner(job, executor) as runner:
        return [
            (tag, future.result())
            for tag, future in run_in_order(runner, ((argument, argument) for argument in arguments))
        ]


def test_every_executor_gives_the_same_results_in_the_order_of_the_work() -> None:
    expected = [(argument, len(argument)) for argument in ARGUMENTS]
    assert results(length_after_a_while, None) == expected
    with WorkerProcesses(3) as workers:
        assert results(length_after_a_while, workers) == expected
    with ThreadPoolExecutor(3) as threads:
        assert results(length_after_a_while, threads) == expected


@pytest.mark.parametrize("make", [lambda: None, lambda: WorkerProcesses(2), lambda: ThreadPoolExecutor(2)])
def test_warnings_come_up_where_the_results_do(make: Any) -> None:
    executor = make()
    with executor or nullcontext(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert results(warn, executor) == [(argument, argument.upper()) for argument in ARGUMENTS]
    ours = [warning for warning in caught if issubclass(warning.category, LswagWarning)]
    assert sorted(str(warning.message) for warning in ours) == [f"{argument} is short" for argument in ARGUMENTS]
    places = {getattr(warning.message, "place", None) or (warning.filename, warning.lineno) for warning in ours}
    assert {filename for filename, _ in places} == {jobs.__file__}


@pytest.mark.parametrize("make", [lambda: None, lambda: ThreadPoolExecutor(1), lambda: WorkerProcesses(1)])
def test_an_exception_travels_in_the_future(make: Any) -> None:
    executor = make()
    with open_runner(refuse, executor) as runner:
        error = runner.submit("b").exception()
    assert isinstance(error, ValueError)
    assert str(error) == "b is refused"
    if executor is not None:
        executor.shutdown()


def test_threads_of_an_executor_take_turns() -> None:
    running: list[int] = []
    overlaps: list[int] = []

    def job(argument: str) -> None:
        running.append(1)
        overlaps.append(len(running))
        threading.Event().wait(0.02)
        running.pop()

    with ThreadPoolExecutor(3) as threads:
        results(job, threads)
    assert overlaps == [1, 1, 1, 1]


def test_a_job_that_cannot_be_sent_is_refused_before_any_work() -> None:
    with WorkerProcesses(1) as workers, pytest.raises(InputError, match="at the top level of a module"):
        results(lambda argument: argument, workers)


def test_the_executor_that_a_command_line_names() -> None:
    with open_executor() as executor:
        assert executor is None
    with open_executor(2) as executor:
        assert isinstance(executor, WorkerProcesses)
        assert len({pid for _, pid in results(process_of, executor, ["a"] * 8)}) <= 2
    with pytest.raises(InputError, match="choose one"), open_executor(2, "tcp://127.0.0.1:1"):
        pass


def test_a_cluster_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lswag_fast.execution.dask_cluster", None)
    with pytest.raises(ExecutorError, match=r"pip install 'lswag-fast\[dask\]'"), open_executor(1, "tcp://h:1"):
        pass
