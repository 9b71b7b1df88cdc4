"""Score public networks with random weights; one row of a CSV each, as soon as it is measured.

`python -m bench.score.models --out bench/results/score/models.csv`; `python -m bench.pages` turns the CSV into
docs/results/models.md. Nothing is downloaded. Run again with the same file, it leaves out the networks that are there;
`--only timm/resnet18 transformers` names networks or libraries.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from bench.csv_file import append, rows_of
from bench.machine import machine_columns
from bench.score.models import PUBLIC_MODELS, PublicModel, measure
from bench.score.models.apart import Row, apart
from bench.score.models.libraries import is_installed, library, versions
from bench.score.models.registry import BATCH
from bench.score.run import KEEP_MEMORY

COLUMNS = (
    "library", "kind", "family", "model", "size", "batch", "init", "parameters", "macs", "coverage", "n_layers",
    "n_constant", "n_skipped", "skipped_reason", "unlisted", "left_as_it_was", "lswag", "plain_s", "score_s", "ratio",
    "n", "plain_mb", "score_mb", "memory_ratio", "warnings", "error", "cpu", "cores", "load", "isa", "threads", "torch",
    "lswag_fast", "compiler", "python", "torchvision", "timm", "transformers", "date",
)  # fmt: skip
N_MEASUREMENTS = 5  # building it, and four children


def wanted(only: list[str], done: set[str]) -> Iterator[PublicModel]:
    """The networks that are asked for, whose library is there, and that are not done."""
    missing = {model.library for model in PUBLIC_MODELS if not is_installed(model.library)}
    for name in sorted(missing):
        sys.stderr.write(f"{name} is not installed: its networks are left out\n")
    for model in PUBLIC_MODELS:
        asked = not only or model.label in only or model.library in only
        if asked and model.library not in missing and model.label not in done:
            yield model


def row_of(model: PublicModel, n_rounds: int) -> Row:
    """What is measured of one network, beside what it is."""
    row: Row = {"library": model.library, "kind": model.kind, "family": model.family, "model": model.name}
    row |= {"size": model.size, "batch": BATCH}
    return row | apart(partial(measure.measured, model, n_rounds), N_MEASUREMENTS * measure.LIMIT_S)


def measure_all(out: Path, only: list[str], n_rounds: int) -> None:
    """Append the row of each network that `out` does not hold yet."""
    done = {f"{row['library']}/{row['model']}" for row in rows_of(out)}
    models = list(wanted(only, done))
    for name in dict.fromkeys(model.library for model in models):
        library(name)  # once, for all children
    gc.freeze()  # a collection in a child would copy all that it shares with this process
    for model in models:
        row = row_of(model, n_rounds)
        date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        load = f"{os.getloadavg()[0]:.2f}"  # of the minute in which the row was measured
        append(out, COLUMNS, {**row, **machine_columns(), **versions(), "load": load, "date": date})
        said = row.get("error") or f"coverage {row['coverage']}, {row['ratio']:.2f} x plain"
        sys.stderr.write(f"{model.label}: {said}\n")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="CSV to write or continue")
    parser.add_argument("--only", nargs="*", default=[], metavar="LIBRARY[/NETWORK]")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds of plain pass and score (default 5)")
    parser.add_argument("--threads", type=int, default=1, help="of torch and the kernels (default 1)")
    options = parser.parse_args()
    environment = {**KEEP_MEMORY, "OMP_NUM_THREADS": str(options.threads)}
    if any(os.environ.get(key) != value for key, value in environment.items()):  # both are read as a process begins
        command = [sys.executable, "-m", "bench.score.models", *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, **environment})
    torch.set_num_threads(options.threads)
    measure_all(options.out, options.only, options.rounds)


if __name__ == "__main__":
    main()
