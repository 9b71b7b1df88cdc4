"""A step that fails is written down with its reason and what it printed, and costs no other its turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.device.steps import FAILED, LEFT_OUT, PASSED, Outcome, Step, run_step


def shell(script: str, limit_s: float = 60) -> Step:
    return Step("step", ["sh", "-c", script], limit_s)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Outcome]:
    def call(step: Step, seconds_left: float = 60) -> Outcome:
        return run_step(step, tmp_path, {"GIVEN": "value"}, seconds_left, tmp_path / "log")

    return call


def test_a_step_that_passes_and_one_that_fails(run: Callable[..., Outcome]) -> None:
    assert run(shell("echo $GIVEN")).as_dict() | {"seconds": 0} == {
        "name": "step", "status": PASSED, "reason": "", "seconds": 0, "output": "value\n",
    }  # fmt: skip
    found = run(shell("echo seen; echo wrong >&2; exit 3"))
    assert (found.status, found.reason, found.output) == (FAILED, "exit status 3", "seen\nwrong\n")


def test_a_step_over_its_time_is_ended_with_its_children(run: Callable[..., Outcome]) -> None:
    found = run(shell("sleep 600 & echo $!; wait"), seconds_left=1)
    assert found.status == FAILED and "ended after 1 s" in found.reason
    state = Path("/proc", found.output.strip(), "stat")
    deadline = time.monotonic() + 30
    # A process that nobody has asked for its end yet stays as a zombie.
    while state.exists() and state.read_text().split()[2] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_cannot_run(run: Callable[..., Outcome]) -> None:
    assert "No such file" in run(Step("step", ["/no/such/program"], 1)).reason
    assert run(shell("true"), seconds_left=0).reason == "no time was left for it"
    found = run(Step("step", ["false"], 1, "there is no such tool"))
    assert (found.status, found.reason) == (LEFT_OUT, "there is no such tool")
