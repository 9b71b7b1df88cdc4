"""What a study costs per trial: `python -m bench.search.overhead --out bench/results/search/overhead.csv`.

Ask, tell and storage, SQLite or a log on a local disk, without a score: the values told are drawn from a seeded
generator. A row is a block of trials, so that a cost that grows with the number of trials shows. The space is
Autoformer-Tiny.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from bench.machine import machine_columns
from lswag_fast import spaces
from lswag_fast.study.budget import Budget
from lswag_fast.study.objective import Objective
from lswag_fast.study.storage import LogStorage, SQLiteStorage, Storage
from lswag_fast.study.study import Study

SAMPLERS = ("random", "evolution", "steady_state")
OBJECTIVES = {
    "one proxy": Objective(("lswag",)),
    "three proxies": Objective(("lswag", "zico", "nwot")),
    "three, one against the others": Objective(("lswag", "zico", "nwot"), lower_is_better=("nwot",)),
}
STORAGES: dict[str, Callable[[Path], Storage]] = {"sqlite": SQLiteStorage, "log": LogStorage}
BLOCK = 10_000
OPENINGS = 5
"""Of a stored study, whose median is taken: one alone depends on what else the machine does."""


def values_of(params: int, objective: Objective, rng: random.Random) -> dict[str, float]:
    """Values that lean to larger networks, as proxies do, with some chance."""
    return {name: params / 1e6 + rng.gauss(0, 1) for name in objective.proxies}


def block_seconds(study: Study, n_trials: int, rng: random.Random) -> float:
    """Seconds that the study takes for so many more trials, without the drawing of values."""
    drawn = 0.0
    begin = time.perf_counter()
    for _ in range(n_trials):
        trial = study.ask()
        start = time.perf_counter()
        values = values_of(trial.n_params, study.objective, rng)
        drawn += time.perf_counter() - start
        study.tell(trial, values)
    return time.perf_counter() - begin - drawn


def opening_seconds(opened: Callable[[], Study]) -> float:
    """Seconds that one opening takes."""
    begin = time.perf_counter()
    with opened():
        return time.perf_counter() - begin


def rows(storage: str, sampler: str, objective: str, n_trials: int, folder: Path) -> Iterator[dict[str, Any]]:
    """One row per block of trials of a study, and one for opening it again."""
    space, budget, rng = spaces.get("autoformer-tiny"), Budget(params="5M..7M"), random.Random(0)
    common = {"storage": storage, "sampler": sampler, "objective": objective}

    def opened() -> Study:
        return Study(space, sampler, STORAGES[storage](folder), budget=budget, objective=OBJECTIVES[objective])

    with opened() as study:
        for done in range(0, n_trials, BLOCK):
            seconds = block_seconds(study, BLOCK, rng)
            yield {**common, "what": "ask and tell", "n_trials": done + BLOCK, "ms": seconds * 1e3 / BLOCK}
    seconds = median(opening_seconds(opened) for _ in range(OPENINGS))
    size = sum(file.stat().st_size for file in folder.iterdir())
    yield {**common, "what": "open again", "n_trials": n_trials, "ms": seconds * 1e3, "bytes": size}


def main() -> None:
    """Measure and write, each row as soon as it is there."""
    parser = argparse.ArgumentParser(description="What a study costs per trial, in milliseconds.")
    parser.add_argument("--out", type=Path, required=True, help="the CSV file, which is replaced")
    parser.add_argument("--trials", type=int, default=100_000, help="of each study (default: 100000)")
    options = parser.parse_args()
    where = {**machine_columns(), "date": date.today().isoformat()}
    found = []
    for study in itertools.product(STORAGES, SAMPLERS, OBJECTIVES):
        with tempfile.TemporaryDirectory(dir=options.out.parent) as folder:
            for row in rows(*study, options.trials, Path(folder) / "run"):
                found.append({**row, **where})
                sys.stdout.write(f"{', '.join(study)}: {row['what']}, {row['n_trials']}: {row['ms']:.3f} ms\n")
                pd.DataFrame(found).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
