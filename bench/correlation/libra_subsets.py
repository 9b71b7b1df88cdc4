"""LIBRA on random subsets of a table, judged there and on the rest: `python -m bench.correlation.libra_subsets TABLE...
--targets COLUMN,... --out FILE.csv`.

The tables are joined by --key, as `lswag-fast libra` does. A row of the result is one way to rank the architectures for
one target and subset: what it was fitted on ranks `rho`, the architectures left out `rho_rest` (Spearman), less what
the best member alone has there `gain_rest`. With --window all of them are correlations inside windows, in the fit, too.

    libra             the default rule, "halves"
    weights           the rule "weights"
    published         Algorithm 1
    published_ranks   with binning="ranks": the entropies see ranks, so that no outlier hides what a proxy adds
    best_member       z1 alone, the proxy that ranks the subset best
    largest_gain      z1 and the two with the largest information gain instead of the least
    random_partners   z1 and two proxies drawn at random
    agreeing          the three that agree best with all others; sees no labels
    all_proxies       all of them, by the sum of the logarithms of their ranks
    size_classes      the members that libra takes, ranked inside thirds by size
    weighted          all of them, with weights fitted to the target's rank
    ridge             a ridge regression of the target's rank on the ranks of all proxies
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

from bench.correlation import alternatives
from bench.correlation.alternatives import Combined
from lswag_fast import Libra, LswagWarning, rank_aggregate
from lswag_fast.data.tables import finite_numbers, join, read_table
from lswag_fast.libra.judge import Candidates
from lswag_fast.libra.ranking import oriented
from lswag_fast.libra.windows import ComparisonWindow

BEST = "best_member"
ALL = {"all_proxies", "weighted", "ridge"}
"""The ways that take every proxy."""


def rules() -> dict[str, Libra]:
    """The default rule, and the published one with its options."""
    return {
        "libra": Libra(),
        "weights": Libra(rule="weights"),
        "published": Libra(rule="published"),
        "published_ranks": Libra(rule="published", binning="ranks"),
    }


def selections(fitted: dict[str, Libra], subset: pd.DataFrame, proxies: list[str], seed: int) -> dict[str, list[str]]:
    """The proxies that each way takes whose ranks are summed, by their weights where the way has some."""
    explained = fitted["published"].explain()
    first = fitted["published"].selection[0]
    near = explained[explained["in_tolerance"]]
    largest_gain = near["information_gain"].drop(first).nlargest(2).index
    random_pair = explained.index.drop(first).to_series().sample(2, random_state=seed)
    return {
        **{way: list(libra.selection) for way, libra in fitted.items()},
        BEST: [first],
        "largest_gain": [first, *largest_gain],
        "random_partners": [first, *random_pair],
        "agreeing": alternatives.agreeing(oriented(subset, proxies)),
        "all_proxies": proxies,
    }


def compared(
    table: pd.DataFrame,
    target: str,
    bias: str,
    proxies: list[str],
    seed: int,
    n: int,
    window: ComparisonWindow | None = None,
) -> Iterator[dict[str, Any]]:
    """The rows of one subset."""
    scores, y = oriented(table, proxies), table[target]
    subset = table.sample(n, random_state=seed)
    here, rest = scores.loc[subset.index], scores.drop(subset.index)
    fitted = {way: libra.fit(subset, target, bias, proxies, window) for way, libra in rules().items()}
    chosen = selections(fitted, subset, proxies, seed)
    weights = {way: libra.result.weights for way, libra in fitted.items()}
    combined: dict[str, Combined] = {
        way: tuple(rank_aggregate(rows[names], weights=weights.get(way)) for rows in (here, rest))  # type: ignore[misc]
        for way, names in chosen.items()
    }
    combined["size_classes"] = alternatives.size_classes(
        here[chosen["libra"]], y[here.index], rest[chosen["libra"]], table[bias]
    )
    combined["weighted"] = alternatives.weighted(here, y[here.index], rest)
    combined["ridge"] = alternatives.ridge(here, y[here.index], rest)
    sizes = None if window is None else window.sizes(table)
    rows = {}
    for way, parts in combined.items():
        names = chosen.get(way, chosen["libra"])
        rows[way] = judged(y, seed, way, "all" if way in ALL else " ".join(names), *parts, sizes, window)
    for row in rows.values():
        yield {**row, "gain_rest": row["rho_rest"] - rows[BEST]["rho_rest"]}


def judged(
    y: pd.Series,
    seed: int,
    way: str,
    selection: str,
    here: pd.Series,
    rest: pd.Series,
    sizes: pd.Series | None = None,
    window: ComparisonWindow | None = None,
) -> dict[str, Any]:
    """A row of the result: how a combination ranks the rows that it was fitted on, and those left out."""
    rho, rho_rest = (_rho(z, y, sizes, window) for z in (here, rest))
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


def _rho(z: pd.Series, y: pd.Series, sizes: pd.Series | None, window: ComparisonWindow | None) -> float:
    if not len(z):
        return np.nan
    target = y[z.index]
    own = None if sizes is None else sizes[z.index]
    windows = Candidates(z.to_frame(), target, target, own, window).windows(np.arange(len(z)))
    return windows.spearman(z.to_numpy(dtype=float), target.to_numpy(dtype=float))


def main() -> None:
    """Read the command line, measure and write."""
    parser = argparse.ArgumentParser(description="LIBRA on random subsets of a table.")
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--key", default="arch")
    parser.add_argument("--targets", required=True)
    parser.add_argument("--proxies", required=True)
    parser.add_argument("--bias", default="params")
    parser.add_argument("--window", type=ComparisonWindow.parse)
    parser.add_argument("--only", type=Path, help="a table; architectures that it does not have are left out")
    parser.add_argument("--subsets", type=int, default=20)
    parser.add_argument("--n", type=int, nargs="+", help="architectures in a subset (default: half)")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    warnings.simplefilter("ignore", LswagWarning)  # a widened tolerance is no news in 20 fits
    targets, proxies = options.targets.split(","), options.proxies.split(",")
    joined = join([read_table(path, key=options.key) for path in options.tables])
    if options.only is not None:
        joined = joined.loc[joined.index.isin(read_table(options.only, key=options.key).index)]
    table, n_dropped = finite_numbers(joined, [*targets, options.bias, *proxies])
    rows = [
        row
        for target in targets
        for n in options.n or [len(table) // 2]
        for seed in range(options.subsets)
        for row in compared(table, target, options.bias, proxies, seed, n, options.window)
    ]
    found = pd.DataFrame(rows).assign(window=str(options.window or ""))
    found.round(4).to_csv(options.out, index=False)
    summary = found.groupby(["target", "n", "way"])[["rho", "rho_rest", "gain_rest"]].agg(["mean", "std", "min"])
    sys.stdout.write(f"{len(table)} architectures, {n_dropped} left out\n{summary.round(3).to_string()}\n")


if __name__ == "__main__":
    main()
