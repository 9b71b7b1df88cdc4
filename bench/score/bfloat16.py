"""Measure what a score in bfloat16 costs, in processor time and in wall time.

`python -m bench.score.bfloat16 --out bench/results/score/bfloat16.csv`. All methods of a network run in turn in one
process, round after round, so that those of a round see the same state of the machine. Processor time is what a machine
that others share can be judged by. Needs a CPU that has AVX512_BF16 or AMX.
"""

from __future__ import annotations

import argparse
import datetime
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from bench.csv_file import append
from bench.score.methods import FAST_GRADIENT_SAMPLES, Maker, plain, score
from bench.score.networks import ALL_SETTINGS, TINY_SETTINGS
from bench.score.peers import Run
from bench.score.run import KEEP_MEMORY

COLUMNS = (
    "benchmark", "network", "batch", "method", "isa", "threads", "processor_s", "wall_s", "processor_ratio",
    "wall_ratio", "n", "result", "cpu", "cores", "compiler", "python", "torch", "lswag_fast", "date",
)  # fmt: skip
CELLS = ("autoformer_s:8", "autoformer_s:32", "resnet50:8", "nasbench201_like:64")
TINY = tuple(f"{name}:{setting.batch_sizes[0]}" for name, setting in TINY_SETTINGS.items())
DIGITS = 4


def autocast(maker: Maker) -> Maker:
    """The method under autocast to bfloat16; autograd computes the backward in what the forward was computed in."""

    def made(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> Run:
        run = maker(model, images, labels)

        def under_autocast() -> float:
            with torch.autocast("cpu", torch.bfloat16):
                return run()

        return under_autocast

    return made


METHODS: dict[str, Maker] = {
    "plain": plain,
    "plain_bfloat16": autocast(plain),
    "score": score,
    "score_bfloat16": partial(score, precision="bfloat16"),
    "score_fast": partial(score, fidelity="fast"),
    "score_fast_bfloat16": partial(score, fidelity="fast", precision="bfloat16"),
}


def times(run: Callable[[], Any]) -> tuple[float, float]:
    """Processor and wall time of one call in seconds."""
    start = time.process_time(), time.perf_counter()
    run()
    return time.process_time() - start[0], time.perf_counter() - start[1]


def methods_for(batch_size: int) -> dict[str, Maker]:
    """The methods that differ at this batch size: the fast score takes all samples of a small batch."""
    small = batch_size <= FAST_GRADIENT_SAMPLES
    return {name: maker for name, maker in METHODS.items() if not (small and "fast" in name)}


def measure(network: str, batch_size: int, n_rounds: int) -> list[dict[str, Any]]:
    """One row for each method: medians, and the medians of the ratios to the plain pass of the same round."""
    from bench.machine import machine_columns

    setting = ALL_SETTINGS[network]
    images, labels = setting.batch(batch_size)
    runs = {name: maker(setting.build(), images, labels) for name, maker in methods_for(batch_size).items()}
    results = {name: run() for name, run in runs.items()}  # which also warms up
    rounds = [{name: times(run) for name, run in runs.items()} for _ in range(n_rounds)]
    rows = []
    for name in runs:
        row: dict[str, Any] = {"benchmark": "bfloat16", "network": network, "batch": batch_size, "method": name}
        for k, kind in enumerate(("processor", "wall")):
            row[f"{kind}_s"] = round(statistics.median(found[name][k] for found in rounds), DIGITS)
            ratios = (found[name][k] / found["plain"][k] for found in rounds)
            row[f"{kind}_ratio"] = round(statistics.median(ratios), DIGITS)
        today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        rows.append({**row, "n": n_rounds, "result": results[name], **machine_columns(), "date": today})
    return rows


def main() -> None:
    """Read the command line and measure, with glibc told to keep freed memory, as the other tables of times do."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the CSV to append to")
    parser.add_argument("--rounds", type=int, default=5, help="of each network (default: 5)")
    parser.add_argument("--only", nargs="+", default=CELLS, metavar="NETWORK:BATCH", help="these alone")
    parser.add_argument("--tiny", action="store_true", help="networks that take milliseconds")
    options = parser.parse_args()
    if not KEEP_MEMORY.items() <= os.environ.items():
        command = [sys.executable, "-m", "bench.score.bfloat16", *sys.argv[1:]]
        raise SystemExit(subprocess.run(command, check=False, env={**os.environ, **KEEP_MEMORY}).returncode)
    for cell in TINY if options.tiny else options.only:
        network, _, batch_size = cell.partition(":")
        for row in measure(network, int(batch_size), options.rounds):
            append(options.out, COLUMNS, row)
            sys.stderr.write(f"{network}:{batch_size}:{row['method']} {row['processor_ratio']:.2f} x plain\n")


if __name__ == "__main__":
    main()
