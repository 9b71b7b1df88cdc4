"""Runners: what closing cancels, what Ctrl-C does, how many run in one process."""

from __future__ import annotations

from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path

import pytest

from execution.by_hand import ByHand
from execution.jobs import ENDINGS, raise_what_ends_programs, shout
from lswag_fast.errors import JobAbortedError
from lswag_fast.execution import open_runner


def test_closing_cancels_what_has_not_started() -> None:
    executor = ByHand()
    with open_runner(shout, executor) as runner:
        running, waiting = runner.submit("a"), runner.submit("b")
        running.set_running_or_notify_cancel()
    with pytest.raises(CancelledError):
        waiting.result()
    assert not running.cancelled()


def test_ctrl_c_inside_a_job_in_this_process_comes_out_at_once() -> None:
    def interrupt(argument: str) -> None:
        raise KeyboardInterrupt

    with open_runner(interrupt) as runner, pytest.raises(KeyboardInterrupt):
        runner.submit("a")


@pytest.mark.parametrize("name", ENDINGS)
def test_what_ends_programs_ends_a_job_in_another_thread_alone(tmp_path: Path, name: str) -> None:
    with ThreadPoolExecutor(1) as threads, open_runner(raise_what_ends_programs, threads) as runner:
        error = runner.submit(f"{tmp_path}/{name}").exception()
    assert isinstance(error, JobAbortedError)
    assert str(error) == f"it raised {name}: now"


@pytest.mark.parametrize("name", ["GeneratorExit", "OwnEnding"])
def test_in_this_process_only_what_a_signal_may_have_raised_comes_out(tmp_path: Path, name: str) -> None:
    with open_runner(raise_what_ends_programs) as runner:
        assert isinstance(runner.submit(f"{tmp_path}/{name}").exception(), JobAbortedError)
        with pytest.raises(SystemExit):
            runner.submit(f"{tmp_path}/SystemExit")
