"""A benchmark and a comparison that are killed wherever they are, after a given time of the processor."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import torch

from lswag_fast.study.budget import Budget
from lswag_fast.training.benchmark import benchmark
from lswag_fast.training.compare import Comparison, compare
from lswag_fast.training.inherited import inherited_accuracy_job
from lswag_fast.training.methods import chosen_methods
from lswag_fast.training.scratch import ScratchTrainer
from training.runs import RECIPE, SPACE, in_own_process, splits_of

N_KILLS = 2
WEIGHTS = {name: 10 * tensor for name, tensor in SPACE.init_weights(0).items()}
"""Ten times as large as drawn ones, with which every network gives the same answer."""


def measure(folder: Path, images: Path) -> None:
    """Write a benchmark of eight networks, or continue it."""
    benchmark(inherited_accuracy_job(SPACE, WEIGHTS, splits_of(images)), folder / "table.csv", 8)


def compare_two(folder: Path, images: Path) -> None:
    """Compare two methods, or continue to."""
    splits = splits_of(images)
    comparison = Comparison(SPACE, splits, Budget(), n_trials=3, batch_size=16, weights=WEIGHTS)
    methods = chosen_methods(["inherited_accuracy", "params"], has_supernet=True)
    trainer = ScratchTrainer(SPACE, splits, RECIPE, "runs", "runs.SPACE")
    assert compare(comparison, methods, [0], trainer, folder)


def killed_often(work: Callable[[Path, Path], None], folder: Path, images: Path, longest_s: float) -> list[int]:
    """Do a work with kills at random times, and then to the end; return how the killed ended.

    Each kill comes before half of `longest_s`, since the same work takes more or less of the processor's time from run
    to run, and one that ended first would test nothing. The second continues what the first one left.
    """
    rng = random.Random(0)
    ends = [in_own_process(_killed_after, rng.uniform(0, longest_s / 2), work, folder, images) for _ in range(N_KILLS)]
    work(folder, images)
    return ends


def seconds_of(work: Callable[[Path, Path], None], folder: Path, images: Path) -> float:
    """The processor's time of a work that nothing interrupts."""
    begin = time.process_time()
    work(folder, images)
    return time.process_time() - begin


def _killed_after(seconds: float, work: Callable[[Path, Path], None], folder: Path, images: Path) -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process on the spot, as SIGKILL does
    signal.setitimer(signal.ITIMER_PROF, max(seconds, 1e-3))
    work(folder, images)
