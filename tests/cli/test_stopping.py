"""Ctrl-C and SIGTERM to `lswag-fast search`: exit codes, what is said, and that the same command continues."""

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from support.processes import heed_ctrl_c, workers_of

# A space whose networks take a moment, so that a signal finds a candidate in flight.
MODULE = """
import json
import time
from torch import nn


class Slow:
    name = "slow"
    input_shape = (3, 8, 8)
    num_classes = 10
    size = 4096

    def sample(self, rng):
        return {"width": rng.randrange(8, 8 + self.size)}

    def mutate(self, arch, rng):
        return self.sample(rng)

    def crossover(self, a, b, rng):
        return a

    def encode(self, arch):
        return json.dumps(arch)

    def decode(self, text):
        return json.loads(text)

    def macs(self, arch):
        return 192 * arch["width"]

    def n_params(self, arch):
        return 192 * arch["width"]

    def build(self, arch, weights=None):
        time.sleep(0.2)
        return nn.Sequential(nn.Flatten(), nn.Linear(192, arch["width"]), nn.ReLU(), nn.Linear(arch["width"], 10))
"""
COMMAND = ("search", "slow_space:Slow", "--batch-size", "16", "--sampler", "random", "--out", "run")
VOLATILE = ["start_time", "elapsed_ms"]
DEADLINE_S = 600


@pytest.fixture(autouse=True)
def user_folder(tmp_path):
    (tmp_path / "slow_space.py").write_text(MODULE)
    return tmp_path


def start(folder, *options):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    return subprocess.Popen(
        [sys.executable, "-m", "lswag_fast.cli", *COMMAND, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment,
        start_new_session=True,
        preexec_fn=heed_ctrl_c,
    )


def shown_trials(folder):
    """How many trials a viewer sees; 0 before the study is there."""
    from lswag_fast.errors import StorageError
    from lswag_fast.study.stored import read_study

    try:
        return len(read_study(folder / "run").trials)
    except StorageError:
        return 0


def wait_for_trials(process, folder, count):
    end = time.monotonic() + DEADLINE_S
    while shown_trials(folder) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def table(folder):
    return pd.read_csv(folder / "run" / "trials.csv").drop(columns=VOLATILE)


@pytest.mark.parametrize(("number", "code", "workers"), [(signal.SIGINT, 130, "2"), (signal.SIGTERM, 143, "1")])
def test_a_signal_stops_the_search_and_the_command_continues_it(user_folder, tmp_path_factory, number, code, workers):
    process = start(user_folder, "--trials", "100", "--workers", workers)
    wait_for_trials(process, user_folder, 2)
    process.send_signal(number)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == code
    assert f"{number.name}: stopping after the candidates that are running" in err
    assert "interrupted" in out
    assert "continue: lswag-fast search slow_space:Slow" in out
    told = table(user_folder)
    assert 2 <= len(told) < 100

    total = str(len(told) + 3)
    out, err = start(user_folder, "--trials", total).communicate(timeout=DEADLINE_S)
    assert err == ""
    whole = tmp_path_factory.mktemp("whole")
    (whole / "slow_space.py").write_text(MODULE)
    start(whole, "--trials", total).communicate(timeout=DEADLINE_S)
    pd.testing.assert_frame_equal(table(user_folder), table(whole))


def test_a_second_signal_stops_at_once_and_loses_no_finished_trial(user_folder):
    process = start(user_folder, "--trials", "100", "--workers", "2")
    wait_for_trials(process, user_folder, 1)
    # A worker that is stopped finishes nothing: only a second signal can end the search before it continues.
    workers = workers_of(process.pid)
    assert workers
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    told = shown_trials(user_folder)
    process.send_signal(signal.SIGINT)
    assert has_said(process, "stopping after the candidates that are running")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert "stopped at once; every finished trial is stored" in err
    assert "continue: lswag-fast search slow_space:Slow" in err
    assert shown_trials(user_folder) >= told
    assert not [pid for pid in workers if is_alive(pid)]


def has_said(process, words):
    """Whether a line has the words, now or later: lines of progress may come before it."""
    return any(words in line for line in iter(process.stderr.readline, ""))


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
