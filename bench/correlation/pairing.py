"""What it is worth to pair a weight by the data rather than by the order of execution: `python -m
bench.correlation.pairing DATA --out FILE.csv --n 200`.

DATA is a folder with nasbench201/nb201_accuracy.csv.gz and images/cifar10_subset.npz. Each network of NAS-Bench-201 is
scored once (batch 64, train mode, Kaiming, 16 samples in a pattern) and its L-SWAG formed with either pairing:

    by_data     the activation that feeds the weight, as `lswag` has it
    by_order    of the activations that count, the one executed last before the weight, or the first one

FILE.csv has a row per target: the Spearman correlation of both, of their difference in a bootstrap over networks the
middle 95 %, how many weights are paired otherwise, and the correlation of both scores with each other.
"""

from __future__ import annotations

import argparse
import math
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr

from lswag_fast import LswagWarning, data, register_proxy, score_many, spaces
from lswag_fast.data.tables import read_table
from lswag_fast.errors import LswagError
from lswag_fast.passes.shared.initialisation import initialise
from lswag_fast.passes.standard.measurements import StandardMeasurements

TARGETS = ("cifar10_test", "cifar100_test", "imagenet16_test")
BATCH_SIZE, PATTERN_SAMPLES, SEED = 64, 16, 0
N_RESAMPLES = 2000


class Listener:
    """A proxy that forms the score with both pairings and is worth nothing itself."""

    def __init__(self) -> None:
        self.found: dict[str, float] = {}

    def __call__(self, measurements: Any) -> float:
        """Form both scores of a pass in which each weight is called once and every activation counts."""
        standard = measurements.of(StandardMeasurements)
        numbers = [int(a.name.split("@")[1]) for a in standard.activations()]
        calls = (n for n in range(len(numbers) + standard.n_observable) if n not in set(numbers))
        self.found = {"by_data": 0.0, "by_order": 0.0, "n_weights": 0, "n_other": 0}
        for layer, call in zip(standard.layers(), calls, strict=True):
            before = max(sum(n < call for n in numbers) - 1, 0)
            self.found["n_weights"] += 1
            self.found["n_other"] += before != layer.activation
            if layer.n_finite_variance:
                lam = math.log(layer["sum_inv_sigma"])
                self.found["by_data"] += lam * standard.patterns.cardinality(layer.activation)
                self.found["by_order"] += lam * standard.patterns.cardinality(before)
        return 0.0


LISTENER = Listener()


def measure(arch: str, space: Any, batch: Any) -> dict[str, float] | None:
    """Both scores of one network; None where it has none."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(SEED)
        model = space.build(space.decode(arch))
    initialise(model, "kaiming", SEED).train()
    try:
        found = score_many(model, batch, proxies=["pairing"], pattern_samples=PATTERN_SAMPLES, seed=SEED)
    except LswagError:
        return None
    return LISTENER.found if found["pairing"].error is None else None


def compared(rows: pd.DataFrame, target: str) -> dict[str, Any]:
    """The row of one target."""
    rng = np.random.default_rng(SEED)
    rho = {rule: spearmanr(rows[rule], rows[target]).statistic for rule in ("by_data", "by_order")}
    resampled = [rows.iloc[rng.integers(len(rows), size=len(rows))] for _ in range(N_RESAMPLES)]
    ranks = [part[["by_data", "by_order", target]].rank().corr()[target] for part in resampled]
    low, high = np.quantile([rank["by_data"] - rank["by_order"] for rank in ranks], [0.025, 0.975])
    return {
        "target": target,
        "n": len(rows),
        **rho,
        "difference": rho["by_data"] - rho["by_order"],
        "low": low,
        "high": high,
        "share_paired_otherwise": rows["n_other"].sum() / rows["n_weights"].sum(),
        "between_both": spearmanr(rows["by_data"], rows["by_order"]).statistic,
    }


def main() -> None:
    """Read the command line, measure and compare."""
    parser = argparse.ArgumentParser(description="L-SWAG of NAS-Bench-201 with either pairing of weights.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--n", type=int, default=200, help="networks, the first of those that evaluate takes at seed 0")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore", LswagWarning)  # BatchNorm in train mode, in every row
    register_proxy("pairing", LISTENER, needs={"standard": ("gradients", "patterns")})
    images = options.data / "images" / "cifar10_subset.npz"
    batch = data.load(images, batch_size=BATCH_SIZE, image_size=32, seed=SEED, split="train").batch
    space = spaces.NasBench201()
    table = read_table(options.data / "nasbench201" / "nb201_accuracy.csv.gz")
    chosen = table.sample(frac=1, random_state=0).iloc[: options.n]
    found = {arch: measure(str(arch), space, batch) for arch in chosen.index}
    rows = pd.DataFrame({arch: numbers for arch, numbers in found.items() if numbers}).T.join(chosen[list(TARGETS)])
    result = pd.DataFrame([compared(rows, target) for target in TARGETS])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    result.to_csv(options.out, index=False)
    sys.stdout.write(result.to_string(index=False) + "\n")


if __name__ == "__main__":
    main()
