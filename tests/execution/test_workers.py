"""Worker processes that are killed, and parent processes that are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from execution.jobs import (
    ENDINGS,
    Job,
    lines,
    process_of,
    raise_what_ends_programs,
    refuse,
    shout,
    sleeping,
    unsendable_result,
)
from lswag_fast.errors import ExecutorError, InputError, JobAbortedError, JobTimeoutError, WorkerLostError
from lswag_fast.execution import WorkerProcesses, open_runner, run_in_order
from lswag_fast.execution.worker_slot import ATTEMPTS

ARGUMENTS = [f"a{number}" for number in range(12)]
# Of waiting for something that has to happen; far more than it takes on a busy machine.
PATIENCE_S = 600


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("it did not happen")
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def run_all(job: Job, workers: WorkerProcesses) -> dict[str, str | BaseException]:
    with open_runner(job, workers) as runner:
        return {
            argument: future.exception() or future.result()
            for argument, future in run_in_order(runner, ((argument, argument) for argument in ARGUMENTS))
        }


@pytest.mark.parametrize("times", [1, ATTEMPTS - 1])
def test_a_killed_worker_is_replaced_and_its_call_run_again(tmp_path: Path, times: int) -> None:
    with WorkerProcesses(2) as workers:
        found = run_all(Job(tmp_path, dies_on="a4", times=times), workers)
    assert found == {argument: argument.upper() for argument in ARGUMENTS}
    calls = lines(tmp_path / "calls")
    assert calls.count("a4") == times + 1
    assert len(calls) == len(ARGUMENTS) + times


def test_a_call_that_ends_its_worker_every_time_fails_alone(tmp_path: Path) -> None:
    with WorkerProcesses(2) as workers:
        found = run_all(Job(tmp_path, dies_on="a4", times=99), workers)
    error = found.pop("a4")
    assert isinstance(error, WorkerLostError)
    assert str(error) == "its worker process ended 3 times; the last time by SIGKILL"
    assert found == {argument: argument.upper() for argument in ARGUMENTS if argument != "a4"}
    assert lines(tmp_path / "calls").count("a4") == ATTEMPTS


def test_the_job_is_sent_once_to_each_process_and_once_to_one_that_replaces_it(tmp_path: Path) -> None:
    with WorkerProcesses(2) as workers:
        run_all(Job(tmp_path, dies_on="a4", times=1), workers)
    readers = lines(tmp_path / "read")
    assert len(readers) == len(set(readers)) <= 3


def test_workers_go_on_with_another_job(tmp_path: Path) -> None:
    with WorkerProcesses(1) as workers:
        assert run_all(Job(tmp_path), workers) == {argument: argument.upper() for argument in ARGUMENTS}
        with open_runner(process_of, workers) as runner:
            pid = runner.submit("a").result()
        assert workers.submit(os.getpid).result() == pid != os.getpid()
        assert lines(tmp_path / "read") == [str(pid)]


def test_a_worker_killed_while_it_has_nothing_to_do_is_replaced() -> None:
    with WorkerProcesses(1) as workers:
        first = workers.submit(os.getpid).result()
        os.kill(first, signal.SIGKILL)
        assert workers.submit(os.getpid).result() != first


def test_errors_keep_where_they_came_from() -> None:
    with WorkerProcesses(1) as workers:
        error = workers.submit(refuse, "b").exception()
        assert isinstance(error, ValueError)
        assert "jobs.py" in str(error.__cause__)
        own = workers.submit(refuse, "own").exception()
        assert isinstance(own, RuntimeError)
        assert str(own) == "TwoArguments: 3: of its own"
        assert "pickle" in str(workers.submit(unsendable_result, "a").exception())
        assert workers.submit(shout, "a").result() == "A"


def test_what_ends_programs_ends_its_call_alone_once_and_quietly(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with WorkerProcesses(1) as workers, open_runner(raise_what_ends_programs, workers) as runner:
        futures = {name: runner.submit(f"{tmp_path}/{name}") for name in [*ENDINGS, "after"]}
        for name in ENDINGS:
            error = futures[name].exception()
            assert isinstance(error, JobAbortedError)
            assert str(error) == f"it raised {name}: now"
        assert futures["after"].result() == "after"
    assert lines(tmp_path / "calls") == [*ENDINGS, "after"]
    assert capfd.readouterr() == ("", "")


def test_a_call_that_takes_too_long_fails_once_and_its_worker_is_replaced(tmp_path: Path) -> None:
    with WorkerProcesses(1, timeout_s=0.5) as workers:
        with open_runner(process_of, workers) as runner:
            before = runner.submit("a").result()  # the start of the process and its imports do not count
        with open_runner(raise_what_ends_programs, workers) as runner:
            endless, after = runner.submit(f"{tmp_path}/stay"), runner.submit(f"{tmp_path}/after")
            assert isinstance(endless.exception(), JobTimeoutError)
            assert str(endless.exception()) == "it took longer than 0.5 s, and its worker process was ended"
            assert after.result() == "after"
        assert workers.submit(os.getpid).result() != before
        wait_until(lambda: not is_running(before))
    assert lines(tmp_path / "calls") == ["stay", "after"]


def test_what_cannot_work_is_refused() -> None:
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InputError, match="timeout_s must be above 0 seconds"):
            WorkerProcesses(1, timeout_s=wrong)
    with pytest.raises(InputError, match="n_workers must be from 1 to 1,024; found 0"):
        WorkerProcesses(0)
    with WorkerProcesses(1) as workers, pytest.raises(InputError, match="cannot be sent"):
        workers.submit(lambda: 1)
    with pytest.raises(RuntimeError, match="after shutdown"):
        workers.submit(os.getpid)


def test_shutdown_ends_the_processes_and_cancels_what_waits_if_asked(tmp_path: Path) -> None:
    workers = WorkerProcesses(1)
    pid = workers.submit(os.getpid).result()
    futures = [workers.submit(time.sleep, 0.2) for _ in range(3)]
    wait_until(futures[0].running)
    workers.shutdown(cancel_futures=True)
    assert [future.cancelled() for future in futures] == [False, True, True]
    assert not is_running(pid)
    workers.shutdown()


def test_an_exception_in_the_block_stops_the_workers_at_once(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), WorkerProcesses(2) as workers:
        futures = [workers.submit(sleeping, str(tmp_path)) for _ in range(4)]
        wait_until(lambda: len(list(tmp_path.iterdir())) == 2)
        raise KeyboardInterrupt
    assert [future.cancelled() for future in futures] == [False, False, True, True]
    assert isinstance(futures[0].exception(), ExecutorError)
    assert not any(is_running(int(path.name)) for path in tmp_path.iterdir())


def script(folder: Path, text: str) -> subprocess.Popen[str]:
    """Run a script in a process group of its own."""
    path = folder / "script.py"
    path.write_text(text)
    tests, package = Path(__file__).parents[1], Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{tests}"}
    return subprocess.Popen(
        [sys.executable, str(path)], env=environment, text=True, stderr=subprocess.PIPE, start_new_session=True
    )


BUSY = """
import sys
from execution.jobs import sleeping
from lswag_fast.execution import WorkerProcesses

if __name__ == "__main__":
    workers = WorkerProcesses(2)
    futures = [workers.submit(sleeping, {folder!r}) for _ in range(2)]
    {then}
"""


def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    folder = tmp_path / "pids"
    folder.mkdir()
    parent = script(tmp_path, BUSY.format(folder=str(folder), then="futures[0].result()"))
    wait_until(lambda: len(list(folder.iterdir())) == 2)
    pids = [int(path.name) for path in folder.iterdir()]
    assert all(map(is_running, pids))
    parent.kill()
    parent.communicate()
    wait_until(lambda: not any(map(is_running, pids)))


def test_a_parent_that_forgets_to_shut_down_ends_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "pids"
    folder.mkdir()
    then = f"import os, time\n    while len(os.listdir({str(folder)!r})) < 2: time.sleep(0.02)"
    parent = script(tmp_path, BUSY.format(folder=str(folder), then=then))
    _, err = parent.communicate(timeout=PATIENCE_S)
    assert (parent.returncode, err) == (0, "")
    pids = [int(path.name) for path in folder.iterdir()]
    assert len(pids) == 2
    wait_until(lambda: not any(map(is_running, pids)))


CTRL_C = """
import os, signal, sys, time
from execution.jobs import shout
from lswag_fast.execution import WorkerProcesses

if __name__ == "__main__":
    signal.signal(signal.SIGINT, lambda *_: None)
    with WorkerProcesses(2) as workers:
        futures = [workers.submit(shout, "a") for _ in range(2)]
        while not all(future.done() for future in futures):
            os.killpg(0, signal.SIGINT)
            time.sleep(0.002)
        assert [future.result() for future in futures] == ["A", "A"]
"""


def test_workers_ignore_ctrl_c_also_while_they_start(tmp_path: Path) -> None:
    parent = script(tmp_path, CTRL_C)
    _, err = parent.communicate(timeout=PATIENCE_S)
    assert (parent.returncode, err) == (0, "")


UNGUARDED = """
from execution.jobs import shout
from lswag_fast.execution import WorkerProcesses

with WorkerProcesses(1) as workers:
    print(workers.submit(shout, "a").result())
"""


def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path) -> None:
    parent = script(tmp_path, UNGUARDED)
    _, err = parent.communicate(timeout=PATIENCE_S)
    assert parent.returncode == 1
    last = err.splitlines()[-1]
    assert last.startswith("lswag_fast.errors.ExecutorError: no worker process could be started: with exit code 1;")
    assert last.endswith('starts workers under `if __name__ == "__main__":`')
