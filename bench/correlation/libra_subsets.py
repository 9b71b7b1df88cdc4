"""LIBRA on random subsets of a table, judged there and on the rest: `python -m bench.correlation.libra_subsets TABLE...
--targets COLUMN,... --out FILE.csv`.

The tables are joined by --key, as `lswag-fast libra` does. A row of the result is one way to rank the architectures for
one target and subset: what it was fitted on ranks `rho`, the architectures left out `rho_rest` (Spearman):

    libra             the default rule, "halves"
    published         Algorithm 1
    published_ranks   with binning="ranks": the entropies see ranks, so that no outlier hides what a proxy adds
    best_member       z1 alone, the proxy that ranks the subset best
    largest_gain      z1 and the two with the largest information gain instead of the least
    random_partners   z1 and two proxies drawn at random
    all_proxies       all of them, by the sum of the logarithms of their ranks
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from lswag_fast import Libra, LswagWarning, rank_aggregate
from lswag_fast.data.tables import finite_numbers, join, read_table
from lswag_fast.libra.ranking import oriented


def rules() -> dict[str, Libra]:
    """The published rule and its options."""
    return {
        "libra": Libra(),
        "published": Libra(rule="published"),
        "published_ranks": Libra(rule="published", binning="ranks"),
    }


def selections(subset: pd.DataFrame, target: str, bias: str, proxies: list[str], seed: int) -> dict[str, list[str]]:
    """What each way takes."""
    fitted = {way: libra.fit(subset, target, bias, proxies) for way, libra in rules().items()}
    explained = fitted["published"].explain()
    first = fitted["published"].selection[0]
    near = explained[explained["in_tolerance"]]
    largest_gain = near["information_gain"].drop(first).nlargest(2).index
    random_pair = explained.index.drop(first).to_series().sample(2, random_state=seed)
    return {
        **{way: list(libra.selection) for way, libra in fitted.items()},
        "best_member": [first],
        "largest_gain": [first, *largest_gain],
        "random_partners": [first, *random_pair],
        "all_proxies": proxies,
    }


def compared(
    table: pd.DataFrame, target: str, bias: str, proxies: list[str], seed: int, n: int
) -> Iterator[dict[str, Any]]:
    """The rows of one subset."""
    scores = oriented(table, proxies)
    subset = table.sample(n, random_state=seed)
    parts = scores.loc[subset.index], scores.drop(subset.index)
    for way, names in selections(subset, target, bias, proxies, seed).items():
        here, rest = (rank_aggregate(rows[list(names)]) for rows in parts)
        selection = "all" if way == "all_proxies" else " ".join(names)
        yield judged(table[target], seed, way, selection, here, rest)


def judged(y: pd.Series, seed: int, way: str, selection: str, here: pd.Series, rest: pd.Series) -> dict[str, Any]:
    """A row of the result: how a combination ranks the rows that it was fitted on, and those left out."""
    rho, rho_rest = (float(spearmanr(z, y[z.index]).statistic) if len(z) else np.nan for z in (here, rest))
    return {
        "target": y.name,
        "seed": seed,
        "n": len(here),
        "n_rest": len(rest),
        "way": way,
        "selection": selection,
        "rho": rho,
        "rho_rest": rho_rest,
    }


def main() -> None:
    """Read the command line, measure and write."""
    parser = argparse.ArgumentParser(description="LIBRA on random subsets of a table.")
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--key", default="arch")
    parser.add_argument("--targets", required=True)
    parser.add_argument("--proxies", required=True)
    parser.add_argument("--bias", default="params")
    parser.add_argument("--only", type=Path, help="a table; architectures that it does not have are left out")
    parser.add_argument("--subsets", type=int, default=20)
    parser.add_argument("--n", type=int, help="architectures in a subset (default: half)")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    warnings.simplefilter("ignore", LswagWarning)  # a widened tolerance is no news in 20 fits
    targets, proxies = options.targets.split(","), options.proxies.split(",")
    joined = join([read_table(path, key=options.key) for path in options.tables])
    if options.only is not None:
        joined = joined.loc[joined.index.isin(read_table(options.only, key=options.key).index)]
    table, n_dropped = finite_numbers(joined, [*targets, options.bias, *proxies])
    n = options.n or len(table) // 2
    rows = [
        row
        for target in targets
        for seed in range(options.subsets)
        for row in compared(table, target, options.bias, proxies, seed, n)
    ]
    found = pd.DataFrame(rows)
    found.round(4).to_csv(options.out, index=False)
    summary = found.groupby(["target", "way"])[["rho", "rho_rest"]].agg(["mean", "std", "min"])
    sys.stdout.write(f"{len(table)} architectures, {n_dropped} left out\n{summary.round(3).to_string()}\n")


if __name__ == "__main__":
    main()
