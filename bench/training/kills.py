"""Whether a training that is killed ends as one that is not: `python -m bench.training.kills --out FILE`.

A supernet of a small space is trained on digits in a process that is killed (SIGKILL) a random time after the training
began, and continued by the same command, which is killed in the same way, until it ends before it is killed; its
weights are compared bit for bit with those of a training that nothing interrupted. A row per training, until so many
kills are counted; run again, it adds what is missing.
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

from bench.csv_file import append, rows_of
from bench.machine import machine_columns
from lswag_fast.files.lock import Owner

COLUMNS = ("training", "kills", "identical")
COMMAND = ("supernet", "bench.training.kills:space", "--epochs", "6", "--device", "cpu", "--threads", "1")
POLL_S = 0.01


def space() -> Any:
    """A space whose steps take milliseconds."""
    from lswag_fast.spaces import AutoFormer

    choices = {"embed_dim": (32, 64), "depth": (1, 2, 3), "num_heads": (1, 2), "mlp_ratio": (1, 2)}
    return AutoFormer(**choices, image_size=8, patch_size=2, num_classes=10)


def begun(folder: Path) -> subprocess.Popen[bytes]:
    """Begin a training, or continue it, in a process of its own; return once it holds the folder."""
    command = [sys.executable, "-m", "lswag_fast", *COMMAND, "--out", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while owner_of(folder) != process.pid and process.poll() is None:
        time.sleep(POLL_S)
    return process


def owner_of(folder: Path) -> int | None:
    """The process that a folder's lock names."""
    lock = folder / "lock"
    owner = Owner.from_json(lock.read_bytes()) if lock.exists() else None
    return owner.pid if owner else None


def seconds_of(folder: Path) -> float:
    """How long a training takes that nothing interrupts, from the moment that it holds its folder."""
    process, begin = begun(folder), time.monotonic()
    if process.wait() != 0:
        raise SystemExit(f"the training in {folder} failed; run it by hand: lswag-fast {' '.join(COMMAND)}")
    return time.monotonic() - begin


def killed(folder: Path, longest_s: float, rng: random.Random) -> int:
    """Train with a kill after a random time each, until it ends before that; return how many kills there were."""
    n_kills = 0
    while True:
        process = begun(folder)
        try:
            code = process.wait(rng.uniform(0, longest_s))
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if code == 0:
            return n_kills
        if code > 0:
            raise SystemExit(f"the training in {folder} could not be continued after {n_kills} kills")
        n_kills += 1


def main() -> None:
    """Train, kill, continue, compare; a row for each training that is missing."""
    parser = argparse.ArgumentParser(description="Whether trainings that are killed end as one that is not.")
    parser.add_argument("--out", type=Path, required=True, help="the CSV file, new or to continue")
    parser.add_argument("--kills", type=int, default=50, help="of all trainings together, at least (default: 50)")
    options = parser.parse_args()
    machine = machine_columns()
    measured = [int(row["kills"]) for row in rows_of(options.out)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds = seconds_of(folder / "whole")
        whole = (folder / "whole" / "weights.safetensors").read_bytes()
        while sum(measured) < options.kills:
            number = len(measured)
            measured.append(killed(folder / str(number), seconds, random.Random(number)))
            same = (folder / str(number) / "weights.safetensors").read_bytes() == whole
            row = {"training": number, "kills": measured[-1], "identical": same}
            append(options.out, [*COLUMNS, *machine], {**row, **machine})


if __name__ == "__main__":
    main()
