"""How a score from 1/8 of the output rows ranks.

`python -m bench.score.row_fraction --out bench/results/score/row_fraction.csv`.

Random Autoformer-Tiny architectures are scored exactly and with `row_fraction`; each row is written as it is there,
and a run with the same file resumes where the last one stopped. The last line gives the Spearman correlations. The
data are seeded Gaussian images unless `--images` names an .npz or a folder.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from typing import Any

import lswag_fast
from bench.csv_file import append, rows_of
from lswag_fast import data, spaces

COLUMNS = (
    "arch", "exact", "sampled", "exact_trainability", "sampled_trainability", "exact_elapsed_ms", "sampled_elapsed_ms",
    "row_fraction", "batch", "data", "cpu", "isa", "threads", "torch", "lswag_fast",
)  # fmt: skip


def architectures(space: Any, count: int, seed: int) -> list[dict[str, Any]]:
    """`count` different random architectures."""
    rng = random.Random(seed)
    found: dict[str, dict[str, Any]] = {}
    while len(found) < count:
        arch = space.sample(rng)
        found[space.encode(arch)] = arch
    return list(found.values())


def measure(model: Any, batch: Any, row_fraction: float) -> dict[str, float]:
    """Score one network both ways."""
    exact = lswag_fast.score(model, batch)
    sampled = lswag_fast.score(model, batch, row_fraction=row_fraction)
    return {
        "exact": exact.value,
        "sampled": sampled.value,
        "exact_trainability": sum(layer.trainability for layer in exact.layers),
        "sampled_trainability": sum(layer.trainability for layer in sampled.layers),
        "exact_elapsed_ms": exact.elapsed_ms,
        "sampled_elapsed_ms": sampled.elapsed_ms,
    }


def spearman(rows: list[dict[str, str]], first: str, second: str) -> float:
    """Rank correlation of two columns."""
    from scipy.stats import spearmanr

    return float(spearmanr([float(r[first]) for r in rows], [float(r[second]) for r in rows]).statistic)


def run(options: argparse.Namespace) -> None:
    """Score what is missing, then print the correlations."""
    from bench.machine import machine_columns

    space = spaces.get("autoformer-tiny")
    batch = data.load(options.images, batch_size=options.batch, image_size=space.image_size, seed=options.seed).batch
    weights = space.init_weights(options.seed)
    done = {row["arch"] for row in rows_of(options.out)}
    where = {key: value for key, value in machine_columns().items() if key in COLUMNS}
    for arch in architectures(space, options.n, options.seed):
        if space.encode(arch) in done:
            continue
        numbers = measure(space.build(arch, weights).eval(), batch, options.row_fraction)
        settings = {"row_fraction": options.row_fraction, "batch": options.batch, "data": Path(options.images).name}
        append(options.out, COLUMNS, {"arch": space.encode(arch), **numbers, **settings, **where})
    rows = rows_of(options.out)
    sys.stdout.write(
        f"{len(rows)} architectures: Spearman of the scores {spearman(rows, 'exact', 'sampled'):.4f}, "
        f"of the trainabilities {spearman(rows, 'exact_trainability', 'sampled_trainability'):.4f}\n"
    )


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="CSV to write or continue")
    parser.add_argument("--n", type=int, default=50, help="architectures (default 50)")
    parser.add_argument("--batch", type=int, default=32, help="samples (default 32)")
    parser.add_argument("--images", default="synthetic", help="data source (default synthetic)")
    parser.add_argument("--row-fraction", type=float, default=0.125, help="default 0.125")
    parser.add_argument("--seed", type=int, default=0)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
