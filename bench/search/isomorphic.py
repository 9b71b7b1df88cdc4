"""What a trial costs where no function is scored twice: `python -m bench.search.isomorphic --out
bench/results/search/isomorphic.csv`.

Evolution over cells that may be the same function as others, in memory and without a score: the values told are drawn
from a seeded generator, and lean to larger networks. Each space is searched with and without isomorphic cells. A row is
a block of trials, so that a cost that grows shows; the last one of a space that has no further cell is shorter. Times
are those of the processor.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

from bench.csv_file import append, rows_of
from bench.machine import machine_columns
from bench.search.overhead import BLOCK, OBJECTIVES, values_of
from lswag_fast import spaces
from lswag_fast.study.candidate_pool import SpaceExhaustedError
from lswag_fast.study.storage import MemoryStorage
from lswag_fast.study.study import Study

SPACES = ("nasbench101", "nasbench201", "transnas-micro")
OBJECTIVE = OBJECTIVES["one proxy"]
WHERE = ("cpu", "cores", "isa", "threads", "torch", "lswag_fast", "compiler", "python", "date")
COLUMNS = ("space", "functions", "n_trials", "ms", "n_isomorphic", *WHERE)


def block(study: Study, n_trials: int, rng: random.Random) -> tuple[int, float]:
    """Trials until the space is used up or there are so many, and the processor's seconds for them."""
    before, begin = study.n_told, time.process_time()
    with suppress(SpaceExhaustedError):
        for _ in range(n_trials):
            trial = study.ask()
            study.tell(trial, values_of(trial.n_params, OBJECTIVE, rng))
    return study.n_told - before, time.process_time() - begin


def rows(name: str, keeps: bool, n_trials: int) -> Iterator[dict[str, Any]]:
    """A row for each block of one study."""
    rng, done, found = random.Random(0), 0, BLOCK
    with Study(spaces.get(name), "evolution", MemoryStorage(), objective=OBJECTIVE, keep_isomorphic=keeps) as study:
        while found == BLOCK and done < n_trials:
            found, seconds = block(study, BLOCK, rng)
            done += found
            if found:
                functions = "all" if keeps else "each once"
                figures = {"n_trials": done, "ms": round(seconds * 1e3 / found, 4)}
                yield {"space": name, "functions": functions, **figures, "n_isomorphic": study.result().n_isomorphic}


def main() -> None:
    """Measure each study that the file does not hold yet."""
    parser = argparse.ArgumentParser(description="What a trial costs where no function is scored twice.")
    parser.add_argument("--out", type=Path, required=True, help="the CSV file, new or to be continued")
    parser.add_argument("--spaces", default=",".join(SPACES), help=f"(default: {','.join(SPACES)})")
    parser.add_argument("--trials", type=int, default=100_000, help="of each study (default: 100000)")
    options = parser.parse_args()
    where = {**machine_columns(), "date": date.today().isoformat()}
    known = {(row["space"], row["functions"]) for row in rows_of(options.out)}
    for name in options.spaces.split(","):
        for keeps in (False, True):
            if (name, "all" if keeps else "each once") in known:
                continue
            for row in rows(name, keeps, options.trials):
                append(options.out, COLUMNS, {**row, **where})
                sys.stdout.write(f"{name}, {row['functions']}: {row['n_trials']}: {row['ms']:.3f} ms\n")


if __name__ == "__main__":
    main()
