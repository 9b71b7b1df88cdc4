"""How well a pool of proxies can rank a table at all: `python -m bench.correlation.attainable TABLE... --targets
COLUMN,... --proxies NAME,... --out FILE.csv`.

What LIBRA reaches on halves of a table that it has not seen is bounded by the pool, and by how much half of the labels
say. This measures both, on the halves of `bench.correlation.libra_subsets`, with columns of the same meaning:

    all_labels   the one, two or three proxies whose sum of log ranks ranks *all* rows best. It has seen the labels of
                 the rows left out: no choice of at most three from this pool does better on the whole table
    search       the same, searched on the half it is fitted on
    ridge        a ridge regression of the target's rank on the ranks of all proxies, its penalty by leave-one-out
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from bench.correlation.alternatives import ridge
from lswag_fast import rank_aggregate
from lswag_fast.data.tables import finite_numbers, join, read_table
from lswag_fast.libra.ranking import oriented

MOST = 3
"""Proxies in a combination, as many as LIBRA takes."""

Values = NDArray[np.float64]


def best_combination(scores: pd.DataFrame, y: Values) -> tuple[str, ...]:
    """Of all combinations of at most `MOST` columns, the one that ranks y best; the first of equals."""
    logs = np.log(rankdata(scores.to_numpy(), axis=0) / len(scores))
    chosen = [places for size in range(1, MOST + 1) for places in combinations(range(scores.shape[1]), size)]
    ranks = rankdata([logs[:, places].sum(axis=1) for places in chosen], axis=1)
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    target = rankdata(y) - (len(y) + 1) / 2
    rho = centred @ target / np.linalg.norm(centred, axis=1)
    return tuple(scores.columns[list(chosen[int(np.argmax(rho.round(12)))])])


def bounds(scores: pd.DataFrame, y: pd.Series, seed: int, overall: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The rows of one half; `overall` is the best combination of the whole table."""
    here = scores.sample(len(scores) // 2, random_state=seed)
    rest = scores.drop(here.index)
    searched = best_combination(here, y[here.index].to_numpy())
    for way, chosen in {"all_labels": overall, "search": searched}.items():
        on_here, on_rest = (rank_aggregate(rows[list(chosen)]) for rows in (here, rest))
        yield _judged(y, seed, way, " ".join(chosen), on_here, on_rest)
    yield _judged(y, seed, "ridge", "all", *ridge(here, y[here.index], rest))


def _judged(y: pd.Series, seed: int, way: str, selection: str, here: pd.Series, rest: pd.Series) -> dict[str, Any]:
    """A row of the result: how a combination ranks the rows that it was fitted on, and those left out."""
    rho, rho_rest = (z.corr(y[z.index], method="spearman") for z in (here, rest))
    subset = {"target": y.name, "seed": seed, "n": len(here), "n_rest": len(rest)}
    return {**subset, "way": way, "selection": selection, "rho": rho, "rho_rest": rho_rest}


def main() -> None:
    """Read the command line, measure and write."""
    parser = argparse.ArgumentParser(description="How well a pool of proxies can rank a table at all.")
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--key", default="arch")
    parser.add_argument("--targets", required=True)
    parser.add_argument("--proxies", required=True)
    parser.add_argument("--subsets", type=int, default=20)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    targets, proxies = options.targets.split(","), options.proxies.split(",")
    joined = join([read_table(path, key=options.key) for path in options.tables])
    table, n_dropped = finite_numbers(joined, [*targets, *proxies])
    scores = oriented(table, proxies)
    overall = {target: best_combination(scores, table[target].to_numpy()) for target in targets}
    found = pd.DataFrame(
        row
        for target in targets
        for seed in range(options.subsets)
        for row in bounds(scores, table[target], seed, overall[target])
    )
    found.round(4).to_csv(options.out, index=False)
    summary = found.pivot_table(index="way", columns="target", values="rho_rest", sort=False)
    summary["mean"] = summary.mean(axis=1)
    sys.stdout.write(f"{len(table)} architectures, {n_dropped} left out; on the held-out halves\n")
    sys.stdout.write(summary.round(3).to_string() + "\n")
    for target, chosen in overall.items():
        whole = spearmanr(rank_aggregate(scores[list(chosen)]), table[target]).statistic
        sys.stdout.write(f"{target}, all labels: {', '.join(chosen)}, {whole:.3f} on the whole table\n")


if __name__ == "__main__":
    main()
