"""What pruning finds on NAS-Bench-201: `python -m bench.search.prune --table nb201_accuracy.csv.gz --data
cifar10_subset.npz --folder runs --out bench/results/search/prune.csv`.

A row a proxy and seed: the cell that is left of the supernet, its published accuracies, and the processor time. The
searches are kept in the folder, so that a run that was cut goes on; such a row has no time. `xi_gsnr` is published with
64 images x 8 micro-batches and the whole network of 15 cells; --batch-size, --image-size and --cells-per-stage make
the supernets smaller, and are columns of the result. Images, weights and proxies have the seed of the row.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import date
from pathlib import Path

import pandas as pd
import torch

from bench.csv_file import append, rows_of
from bench.machine import machine_columns
from lswag_fast import ScoreOptions, data, search, spaces
from lswag_fast.data.tables import read_table

PROXIES = ("xi_gsnr", "lswag", "te_nas")
N_TRIALS = 85
ACCURACIES = ("cifar10_test", "cifar100_test", "imagenet16_test")
WHERE = ("cpu", "cores", "isa", "threads", "torch", "lswag_fast", "compiler", "python", "date")
COLUMNS = (
    "proxy",
    "seed",
    "batch",
    "micro_batches",
    "image_size",
    "cells_per_stage",
    "cell",
    *ACCURACIES,
    "processor_s",
    *WHERE,
)


def pruned(proxy: str, seed: int, options: argparse.Namespace) -> tuple[str, float | None]:
    """The cell that is left, and the seconds of the processor; None where the search had begun before."""
    folder = options.folder / f"{proxy}-{seed}"
    is_new = not folder.exists()
    space = spaces.NasBench201(cells_per_stage=options.cells_per_stage, image_size=options.image_size)
    batch = data.load(
        options.data,
        batch_size=options.batch_size,
        split="train",
        num_classes=10,
        image_size=options.image_size,
        seed=seed,
    )
    variance = f"microbatch:{options.micro_batches}" if options.micro_batches else "sample"
    scoring = ScoreOptions(variance=variance if proxy == "xi_gsnr" else "sample", fidelity="exact")
    start = time.process_time()
    found = search(
        space, batch.batch, proxy=proxy, sampler="prune", n_trials=N_TRIALS, seed=seed, storage=folder, options=scoring
    )
    seconds = time.process_time() - start
    assert found.best is not None
    return found.best.arch["cell"], seconds if is_new else None


def row_of(proxy: str, seed: int, table: pd.DataFrame, options: argparse.Namespace) -> dict[str, object]:
    """Search, and look the cell up."""
    cell, seconds = pruned(proxy, seed, options)
    micro_batches = options.micro_batches if proxy == "xi_gsnr" else ""
    setting = {"proxy": proxy, "seed": seed, "batch": options.batch_size, "micro_batches": micro_batches}
    accuracies = table.loc[cell, list(ACCURACIES)].to_dict()
    where = {**machine_columns(), "date": date.today().isoformat()}
    times = {"processor_s": "" if seconds is None else round(seconds, 2)}
    setting["image_size"] = options.image_size
    return {**setting, "cells_per_stage": options.cells_per_stage, "cell": cell, **accuracies, **times, **where}


def main() -> None:
    """Search by each proxy and seed that the file does not hold yet."""
    parser = argparse.ArgumentParser(description="The cells of NAS-Bench-201 that pruning leaves.")
    parser.add_argument("--table", type=Path, required=True, help="the published accuracies")
    parser.add_argument("--data", required=True, help="images, an .npz file with x_train and y_train")
    parser.add_argument("--folder", type=Path, required=True, help="where the searches are kept")
    parser.add_argument("--out", type=Path, required=True, help="the CSV file, new or to be continued")
    parser.add_argument("--proxies", default=",".join(PROXIES), help=f"(default: {','.join(PROXIES)})")
    parser.add_argument("--seeds", type=int, default=3, help="(default: 3)")
    parser.add_argument("--batch-size", type=int, default=512, help="images (default: 512)")
    parser.add_argument("--micro-batches", type=int, default=8, help="of xi_gsnr; 0 for single samples (default: 8)")
    parser.add_argument("--image-size", type=int, default=32, help="pixels (default: 32)")
    parser.add_argument("--cells-per-stage", type=int, default=5, help="(default: 5)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    known = {(row["proxy"], row["seed"]) for row in rows_of(options.out)}
    table = read_table(options.table)
    for seed in range(options.seeds):
        for proxy in options.proxies.split(","):
            if (proxy, str(seed)) not in known:
                row = row_of(proxy, seed, table, options)
                append(options.out, COLUMNS, row)
                sys.stdout.write(f"{proxy}, seed {seed}: {row['cell']} {row['cifar10_test']:.2f}\n")


if __name__ == "__main__":
    main()
