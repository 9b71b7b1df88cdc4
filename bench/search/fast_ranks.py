"""How the fast score ranks, and what it costs: `python -m bench.search.fast_ranks --out
bench/results/search/fast_ranks.csv`.

L-SWAG of random networks of Autoformer-Tiny at both fidelities, the fast one also in bfloat16, in turn on one thread. A
row a network, appended as soon as it is there; run again, the command continues the file. The times are processor time,
which other processes stretch less than they do the clock on the wall.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from datetime import date
from pathlib import Path

import torch

from bench.csv_file import append, rows_of
from bench.machine import machine_columns
from lswag_fast import ScoreOptions, data, spaces
from lswag_fast.score_job import ScoreJob

SPACE = "autoformer-tiny"
OPTIONS = {
    "fast": ScoreOptions(fidelity="fast"),
    "fast_bfloat16": ScoreOptions(fidelity="fast", precision="bfloat16"),
    "exact": ScoreOptions(fidelity="exact"),
}
COLUMNS = (
    *("space", "network", "batch", "seed", "arch", *OPTIONS, "build_s", *(f"{name}_s" for name in OPTIONS)),
    *("cpu", "cores", "isa", "threads", "torch", "lswag_fast", "compiler", "python", "date"),
)


def jobs(batch_size: int) -> dict[str, ScoreJob]:
    """The job of a search by each of the options."""
    space = spaces.get(SPACE)
    batch = data.load("digits", batch_size=batch_size, image_size=space.image_size, seed=0).batch
    return {name: ScoreJob(space, batch, ("lswag",), options=options) for name, options in OPTIONS.items()}


def measure(job: ScoreJob, text: str) -> tuple[float, float]:
    """The score of an architecture and its processor time in seconds, the building of the network included."""
    start = time.process_time()
    value = job(text)["lswag"]
    return value, time.process_time() - start


def main() -> None:
    """Measure the networks that the file does not hold yet."""
    parser = argparse.ArgumentParser(description="Fast and exact scores of random networks of Autoformer-Tiny.")
    parser.add_argument("--out", type=Path, required=True, help="the CSV file, new or to be continued")
    parser.add_argument("--networks", type=int, default=50, help="random networks (default: 50)")
    parser.add_argument("--batch-size", type=int, default=20, help="samples (default: 20)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    known = {row["arch"] for row in rows_of(options.out)}
    made = jobs(options.batch_size)
    space, rng = made["fast"].space, random.Random(0)
    texts = [space.encode(space.sample(rng)) for _ in range(options.networks)]
    for job in made.values():
        job(texts[0])  # draws the weights
    for number, text in enumerate(texts):
        if text in known:
            continue
        start = time.process_time()
        made["fast"].network(space.decode(text))
        row = {"build_s": time.process_time() - start}
        for name, job in made.items():
            row[name], row[f"{name}_s"] = measure(job, text)
        where = {**machine_columns(), "date": date.today().isoformat()}
        setting = {"space": SPACE, "network": number, "batch": options.batch_size, "seed": 0, "arch": text}
        append(options.out, COLUMNS, {**setting, **row, **where})
        values = ", ".join(f"{name} {row[name]:.6g}" for name in OPTIONS)
        sys.stdout.write(f"{number}: {values}\n")


if __name__ == "__main__":
    main()
