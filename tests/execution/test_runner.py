"""Runners: what closing cancels, what Ctrl-C does, how many run in one process."""

from __future__ import annotations

from concurrent.futures import CancelledError

import pytest

from execution.by_hand import ByHand
from execution.jobs import shout
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
