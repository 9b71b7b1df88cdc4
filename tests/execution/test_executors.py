"""Evaluators: the same results, in order, whatever runs the job."""

from __future__ import annotations

import threading
import warnings
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import pytest

from execution import jobs
from execution.jobs import length_after_a_while, process_of, refuse, shout, warn
from lswag_fast.errors import ExecutorError, InputError, LswagWarning
from lswag_fast.execution.executors import chosen_executor, in_order, open_evaluator
from lswag_fast.execution.workers import WorkerProcesses

ARCHS = ["a", "bb", "ccc", "dddd"]


def results(job: Any, executor: Executor | None, archs: list[str] = ARCHS) -> list[tuple[str, Any]]:
    with open_evaluator(job, executor) as evaluator:
        return [(tag, future.result()) for tag, future in in_order(evaluator, ((arch, arch) for arch in archs))]


def test_every_executor_gives_the_same_results_in_the_order_of_the_work() -> None:
    expected = [(arch, len(arch)) for arch in ARCHS]
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
        assert results(warn, executor) == [(arch, arch.upper()) for arch in ARCHS]
    ours = [warning for warning in caught if issubclass(warning.category, LswagWarning)]
    assert sorted(str(warning.message) for warning in ours) == [f"{arch} is short" for arch in ARCHS]
    assert {warning.filename for warning in ours} == {jobs.__file__}


def test_in_this_process_one_is_finished_before_the_next_is_begun() -> None:
    seen: list[str] = []

    def work():
        for arch in ARCHS:
            seen.append(f"drawn {arch}")
            yield arch, arch

    with open_evaluator(shout) as evaluator:
        for arch, _ in in_order(evaluator, work()):
            seen.append(f"told {arch}")
    assert seen == [f"{what} {arch}" for arch in ARCHS for what in ("drawn", "told")]


class ByHand(Executor):
    """Nothing happens until a test says so."""

    _max_workers = 2

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.futures.append(Future())
        return self.futures[-1]


def finish(future: Future[Any]) -> None:
    future.set_running_or_notify_cancel()
    future.set_result(None)


def test_no_more_run_than_there_are_slots_and_few_wait_for_an_earlier_one() -> None:
    executor = ByHand()
    told: list[int] = []

    def tell_all() -> None:
        with open_evaluator(shout, executor) as evaluator:
            told.extend(tag for tag, _ in in_order(evaluator, ((number, "a") for number in range(20))))

    thread = threading.Thread(target=tell_all)
    thread.start()
    # The first one stays, and each other one is finished as soon as it is there: 4 a slot may wait for the first.
    for number in range(1, 8):
        while len(executor.futures) <= number:
            pass
        assert sum(not future.done() for future in executor.futures) <= 2
        finish(executor.futures[number])
    thread.join(0.2)
    assert (len(executor.futures), told) == (8, [])
    finish(executor.futures[0])
    for number in range(8, 20):
        while len(executor.futures) <= number:
            pass
        finish(executor.futures[number])
    thread.join()
    assert told == list(range(20))


def test_closing_cancels_what_has_not_started() -> None:
    executor = ByHand()
    with open_evaluator(shout, executor) as evaluator:
        running, waiting = evaluator.submit("a"), evaluator.submit("b")
        running.set_running_or_notify_cancel()
    with pytest.raises(CancelledError):
        waiting.result()
    assert not running.cancelled()


@pytest.mark.parametrize("make", [lambda: None, lambda: ThreadPoolExecutor(1), lambda: WorkerProcesses(1)])
def test_an_exception_travels_in_the_future(make: Any) -> None:
    executor = make()
    with open_evaluator(refuse, executor) as evaluator:
        error = evaluator.submit("b").exception()
    assert isinstance(error, ValueError)
    assert str(error) == "b is refused"
    if executor is not None:
        executor.shutdown()


def test_ctrl_c_inside_a_job_in_this_process_comes_out_at_once() -> None:
    def interrupt(arch: str) -> None:
        raise KeyboardInterrupt

    with open_evaluator(interrupt) as evaluator, pytest.raises(KeyboardInterrupt):
        evaluator.submit("a")


def test_threads_of_an_executor_take_turns() -> None:
    running: list[int] = []
    overlaps: list[int] = []

    def job(arch: str) -> None:
        running.append(1)
        overlaps.append(len(running))
        threading.Event().wait(0.02)
        running.pop()

    with ThreadPoolExecutor(3) as threads:
        results(job, threads)
    assert overlaps == [1, 1, 1, 1]


def test_a_job_that_cannot_be_sent_is_refused_before_any_work() -> None:
    with WorkerProcesses(1) as workers, pytest.raises(InputError, match="at the top level of a module"):
        results(lambda arch: arch, workers)


def test_the_executor_that_a_command_line_names() -> None:
    with chosen_executor() as executor:
        assert executor is None
    with chosen_executor(2) as executor:
        assert isinstance(executor, WorkerProcesses)
        assert len({pid for _, pid in results(process_of, executor, ["a"] * 8)}) <= 2
    with pytest.raises(InputError, match="choose one"), chosen_executor(2, "tcp://127.0.0.1:1"):
        pass


def test_a_cluster_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lswag_fast.execution.dask_cluster", None)
    with pytest.raises(ExecutorError, match=r"pip install 'lswag-fast\[dask\]'"), chosen_executor(1, "tcp://h:1"):
        pass
