"""Candidates per second, end to end: `python -m bench.search.rate --out bench/results/search/rate.csv`.

A random search over Autoformer-Tiny, L-SWAG with one thread a candidate, exact, fast, and fast in bfloat16 where the
processor has it, in this process and in two workers; each in turn, the rounds mixed. The clock runs from the first
result to the last, so that starting processes is left out, and so are the finalists of a fast search, 20 however many
candidates there are; what the start takes is a column of its own.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from bench.machine import machine_columns
from lswag_fast import ScoreOptions, data, spaces
from lswag_fast.execution import open_executor
from lswag_fast.kernels import bfloat16_problem
from lswag_fast.options import Fidelity, Precision
from lswag_fast.searching import search

SPACE = "autoformer-tiny"
Kind = tuple[Fidelity, Precision]
KINDS: tuple[Kind, ...] = (("exact", "float32"), ("fast", "float32"), ("fast", "bfloat16"))


def measure(kind: Kind, n_workers: int, n_trials: int, batch_size: int) -> dict[str, float]:
    """One search: candidates per second, and the seconds before the first result."""
    fidelity, precision = kind
    space = spaces.get(SPACE)
    batch = data.load("digits", batch_size=batch_size, image_size=space.image_size, seed=0).batch
    ends: list[float] = []
    begin = time.perf_counter()
    with open_executor(n_workers) as executor:
        search(
            space,
            batch,
            n_trials=n_trials,
            sampler="random",
            executor=executor,
            n_threads=1,
            options=ScoreOptions(fidelity=fidelity, precision=precision),
            callbacks=(lambda study, trial: ends.append(time.perf_counter()),),
        )
    return {"candidates_s": (n_trials - 1) / (ends[-1] - ends[0]), "first_s": ends[0] - begin}


def main() -> None:
    """Measure in rounds and write one row a kind of score and number of workers: medians."""
    parser = argparse.ArgumentParser(
        description="Candidates per second of a search, exact and fast, with 1 and 2 workers."
    )
    parser.add_argument("--out", type=Path, required=True, help="the CSV file, which is replaced")
    parser.add_argument("--trials", type=int, default=24, help="of each search (default: 24)")
    parser.add_argument("--batch-size", type=int, default=20, help="samples (default: 20)")
    parser.add_argument("--rounds", type=int, default=3, help="searches of each kind (default: 3)")
    options = parser.parse_args()
    kinds = [kind for kind in KINDS if kind[1] == "float32" or not bfloat16_problem()]
    found: dict[tuple[Kind, int], list[dict[str, float]]] = {
        (kind, n_workers): [] for n_workers in (1, 2) for kind in kinds
    }
    for _ in range(options.rounds):
        for (kind, n_workers), measured in found.items():
            measured.append(measure(kind, n_workers, options.trials, options.batch_size))
            speed = f"{measured[-1]['candidates_s']:.2f} candidates per second"
            sys.stdout.write(f"{', '.join(kind)}, {n_workers} workers: {speed}\n")
    setting = {"space": SPACE, "batch": options.batch_size, "n_trials": options.trials, "rounds": options.rounds}
    where = {**machine_columns(), "threads": 1, "date": date.today().isoformat()}
    rows: list[dict[str, Any]] = [
        {
            "workers": n_workers,
            "fidelity": fidelity,
            "precision": precision,
            **{key: statistics.median(m[key] for m in measured) for key in measured[0]},
            **setting,
            **where,
        }
        for ((fidelity, precision), n_workers), measured in found.items()
    ]
    pd.DataFrame(rows).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
