"""Append a row to the history of the speed: the whole score of the measured networks, today, on this machine.

`python -m bench.history`, on a quiet machine, some minutes; the row goes to bench/results/score/history.csv. Each
network is scored at the largest batch that it is measured with, in turn with a plain forward and backward pass.
Seconds compare within one machine; the ratio to the plain pass compares between machines, too.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.csv_file import append
from bench.score.networks import SETTINGS, TINY_SETTINGS, Setting
from bench.score.run import measure_apart, where

HISTORY = Path("bench/results/score/history.csv")
WHERE = ("cpu", "cores", "isa", "threads", "compiler", "python", "torch")
DIGITS = 4


def columns(settings: Mapping[str, Setting]) -> tuple[str, ...]:
    """The columns of a history of these networks."""
    times = [f"{network}_{what}" for network in settings for what in ("batch", "s", "ratio")]
    return ("date", "lswag_fast", "commit", *times, *WHERE)


def commit() -> str:
    """The commit that is measured, with `-dirty` where files differ from it; empty outside of a git checkout."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def measured_row(settings: Mapping[str, Setting], n_rounds: int) -> dict[str, Any]:
    """Score each network in a process of its own and return the row."""
    here = where()
    row = {"commit": commit(), **{name: here[name] for name in ("date", "lswag_fast", *WHERE)}}
    for network, setting in settings.items():
        batch_size = max(setting.batch_sizes)
        times = measure_apart("time", network, batch_size, "score", n_rounds)
        row |= {
            f"{network}_batch": batch_size,
            f"{network}_s": round(times["median_s"], DIGITS),
            f"{network}_ratio": round(times["ratio"], DIGITS),
        }
        sys.stderr.write(f"{network}:{batch_size} {times['median_s']:.3f} s, {times['ratio']:.2f} x plain\n")
    return row


def main() -> None:
    """Read the command line, measure and append."""
    parser = argparse.ArgumentParser(description="Append a row to the history of the speed.")
    parser.add_argument("--out", type=Path, default=HISTORY, help=f"the CSV (default {HISTORY})")
    parser.add_argument("--tiny", action="store_true", help="the tiny networks: checks that it runs")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds of plain pass and score (default 5)")
    options = parser.parse_args()
    settings = TINY_SETTINGS if options.tiny else SETTINGS
    append(options.out, columns(settings), measured_row(settings, options.rounds))


if __name__ == "__main__":
    main()
