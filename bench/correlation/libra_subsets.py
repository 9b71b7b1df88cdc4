"""LIBRA on random subsets of published tables: `python -m bench.correlation.libra_subsets DATA --out FILE.csv`.

DATA is a folder with nb201_accuracy.csv.gz and nb201_proxies_suite_{cifar10,imagenet16}.csv.gz, the 13 proxies of
NAS-Bench-Suite-Zero. Each row is one subset: the triple, the Spearman correlation of its combination with the test
accuracy, and that of what one would do instead.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.stats import spearmanr

from lswag_fast import Libra, LswagWarning, rank_aggregate
from lswag_fast.tables import join, read_table

TASKS = {"cifar10": "cifar10_test", "imagenet16": "imagenet16_test"}
NO_PROXIES = ("val_accuracy_suite",)


def row(table: pd.DataFrame, target: str, proxies: list[str], seed: int, n: int) -> dict[str, Any]:
    """One subset: LIBRA, its best member, the largest gain instead of the least, a random triple, all proxies."""
    subset = table.sample(n, random_state=seed)
    libra = Libra().fit(subset, target, proxies=proxies)
    explained = libra.explain()
    near = explained[explained["in_tolerance"]]
    largest_gain = near["information_gain"].drop(libra.selection[0]).nlargest(2).index
    random_pair = explained.index.drop(libra.selection[0]).to_series().sample(2, random_state=seed)

    def rho(names: list[str]) -> float:
        return float(spearmanr(rank_aggregate(subset[names]), subset[target]).statistic)

    first = libra.selection[0]
    return {
        "target": target,
        "seed": seed,
        "n": n,
        "selection": " ".join(libra.selection),
        "libra": float(spearmanr(libra.predict(subset), subset[target]).statistic),
        "best_member": explained.loc[list(libra.selection), "rho"].max(),
        "largest_gain": rho([first, *largest_gain]),
        "random_partners": rho([first, *random_pair]),
        "all_proxies": rho(proxies),
    }


def main() -> None:
    """Read the command line, measure and write."""
    parser = argparse.ArgumentParser(description="LIBRA on random subsets of the published NAS-Bench-201 tables.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--subsets", type=int, default=20)
    parser.add_argument("--n", type=int, default=1000, help="architectures in a subset (default 1000)")
    options = parser.parse_args()
    warnings.simplefilter("ignore", LswagWarning)  # a widened tolerance is no news in 40 fits
    accuracies = read_table(options.data / "nb201_accuracy.csv.gz", key="index")
    rows = []
    for task, target in TASKS.items():
        suite = read_table(options.data / f"nb201_proxies_suite_{task}.csv.gz", key="index")
        proxies = [name for name in suite.columns if name not in NO_PROXIES]
        table = join([accuracies, suite])
        rows += [row(table, target, proxies, seed, options.n) for seed in range(options.subsets)]
    found = pd.DataFrame(rows)
    found.round(4).to_csv(options.out, index=False)
    means = found.groupby("target").mean(numeric_only=True).drop(columns=["seed", "n"])
    sys.stdout.write(means.round(3).to_string() + "\n")


if __name__ == "__main__":
    main()
