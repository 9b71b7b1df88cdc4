"""Whether a training that is killed ends as one that is not: `python -m bench.training.kills --out FILE`.

A supernet of a small space is trained on digits in a process that is killed (SIGKILL) after a random time, and
continued by the same command until it ends; its weights are compared bit for bit with those of a training that nothing
interrupted. A row per training.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.csv_file import append
from bench.machine import machine_columns

COLUMNS = ("training", "kills", "kills_after_begin", "identical")
COMMAND = ("supernet", "bench.training.kills:space", "--epochs", "3", "--device", "cpu", "--threads", "1")
START_S = 2.0
"""Least seconds before a kill: less is over before the first step."""


def space() -> Any:
    """A space whose steps take milliseconds."""
    from lswag_fast.spaces import AutoFormer

    choices = {"embed_dim": (32, 64), "depth": (1, 2, 3), "num_heads": (1, 2), "mlp_ratio": (1, 2)}
    return AutoFormer(**choices, image_size=8, patch_size=2, num_classes=10)


def trained(folder: Path) -> subprocess.Popen[bytes]:
    """Begin a training, or continue it, in a process of its own."""
    command = [sys.executable, "-m", "lswag_fast", *COMMAND, "--out", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def seconds_of(folder: Path) -> float:
    """How long a training takes that nothing interrupts."""
    begin = time.monotonic()
    if trained(folder).wait() != 0:
        raise SystemExit(f"the training in {folder} failed; run it by hand: lswag-fast {' '.join(COMMAND)}")
    return time.monotonic() - begin


def killed(folder: Path, n_kills: int, longest_s: float, rng: random.Random) -> int:
    """Train with so many kills, each after a random time, and then to the end; return how many hit a begun training."""
    n_begun = 0
    for _ in range(n_kills):
        process = trained(folder)
        try:
            process.wait(rng.uniform(START_S, longest_s))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            n_begun += (folder / "settings.json").exists()
    seconds_of(folder)
    return n_begun


def main() -> None:
    """Train, kill, continue, compare; a row for each training."""
    parser = argparse.ArgumentParser(description="Whether trainings that are killed end as one that is not.")
    parser.add_argument("--out", type=Path, required=True, help="the CSV file, which is replaced")
    parser.add_argument("--trainings", type=int, default=10, help="(default: 10)")
    parser.add_argument("--kills", type=int, default=5, help="of each training (default: 5)")
    options = parser.parse_args()
    options.out.unlink(missing_ok=True)
    machine, rng = machine_columns(), random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds = seconds_of(folder / "whole")
        whole = (folder / "whole" / "weights.safetensors").read_bytes()
        for number in range(options.trainings):
            run = folder / str(number)
            n_begun = killed(run, options.kills, seconds, rng)
            same = (run / "weights.safetensors").read_bytes() == whole
            row = {"training": number, "kills": options.kills, "kills_after_begin": n_begun, "identical": same}
            append(options.out, [*COLUMNS, *machine], {**row, **machine})


if __name__ == "__main__":
    main()
