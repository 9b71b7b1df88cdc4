"""LIBRA on random subsets of a table, judged there and on the rest: `python -m bench.correlation.libra_subsets TABLE...
--targets COLUMN,... --proxies NAME,... --out FILE.csv [--n N...] [--window params:8%] [--default-only] [--mean-rank]`.

The tables are joined by --key, as `lswag-fast libra` does. A row of the result is one way to rank the architectures for
one target and subset: what it was fitted on ranks `rho`, the architectures left out `rho_rest` (Spearman), less what
the best member alone has there `gain_rest`. With --window all of them are correlations inside windows, in the fit, too.
With --mean-rank the mean of an architecture's ranks by the targets is one more target.

    weights           the rule "weights", which is the default
    halves            the rule "halves"
    published         Algorithm 1
    published_ranks   with binning="ranks": the entropies see ranks, so that no outlier hides what a proxy adds
    best_member       z1 alone, the proxy that ranks the subset best
    largest_gain      z1 and the two with the largest information gain instead of the least
    random_partners   z1 and two proxies drawn at random
    agreeing          the three that agree best with all others; sees no labels
    all_proxies       all of them, by the sum of the logarithms of their ranks
    size_classes      the members that halves takes, ranked inside thirds by size
    weighted          all of them, with weights fitted to the target's rank over all sizes, and always kept
    ridge             a ridge regression of the target's rank over all sizes on the ranks of all proxies
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from bench.correlation import alternatives
from bench.correlation.alternatives import Combined
from lswag_fast import Libra, LswagWarning
from lswag_fast.data.tables import finite_numbers, join, numbers, read_table
from lswag_fast.libra.judge import Candidates, Judge
from lswag_fast.libra.ranking import oriented
from lswag_fast.libra.windows import ComparisonWindow

BEST = "best_member"
MEAN_RANK = "mean_rank"
ALL = {"all_proxies", "weighted", "ridge"}
"""The ways that take every proxy."""
MEMBERS_OF = {"size_classes": "halves"}
"""Ways that take the members of another one."""


def rules() -> dict[str, Libra]:
    """Every rule, and the published one with another binning."""
    return {
        "weights": Libra(rule="weights"),
        "halves": Libra(rule="halves"),
        "published": Libra(rule="published"),
        "published_ranks": Libra(rule="published", binning="ranks"),
    }


def selections(fitted: dict[str, Libra], subset: pd.DataFrame, proxies: list[str], seed: int) -> dict[str, list[str]]:
    """The proxies that each way takes whose ranks are summed, by their weights where the way has some."""
    explained = fitted["published"].explain()
    first = explained.index[0]
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
    default_only: bool = False,
) -> Iterator[dict[str, Any]]:
    """The rows of one subset; `default_only` leaves out all but the default rule and its best member."""
    scores, y = oriented(table, proxies), table[target]
    subset = table.sample(n, random_state=seed)
    here, rest = scores.loc[subset.index], scores.drop(subset.index)
    sizes = None if window is None else window.sizes(table)
    judges = [judge_of(rows, y, table[bias], sizes, window) for rows in (here, rest)]
    tried = {"weights": Libra()} if default_only else rules()
    fitted = {way: libra.fit(subset, target, bias, proxies, window) for way, libra in tried.items()}
    first = fitted["weights"].explain().index[0]
    chosen = {"weights": list(fitted["weights"].selection), BEST: [first]}
    if not default_only:
        chosen = selections(fitted, subset, proxies, seed)
    weights = {way: libra.result.weights for way, libra in fitted.items()}
    figures = {way: [judge.rho(names, weights.get(way)) for judge in judges] for way, names in chosen.items()}
    others = {} if default_only else _others(here, y, rest, table[bias], chosen["halves"])
    for way, parts in others.items():
        figures[way] = [
            judge.windows.spearman(z.to_numpy(dtype=float), y[z.index].to_numpy(dtype=float))
            for judge, z in zip(judges, parts, strict=True)
        ]
    for way, (rho, rho_rest) in figures.items():
        names = "all" if way in ALL else " ".join(chosen[MEMBERS_OF.get(way, way)])
        row = {"target": target, "seed": seed, "n": len(here), "n_rest": len(rest), "way": way, "selection": names}
        yield {**row, "rho": rho, "rho_rest": rho_rest, "gain_rest": rho_rest - figures[BEST][1]}


def _others(
    here: pd.DataFrame, y: pd.Series, rest: pd.DataFrame, sizes: pd.Series, members: list[str]
) -> dict[str, Combined]:
    """The ways that are no sum of the logarithms of ranks, or have weights of their own."""
    return {
        "size_classes": alternatives.size_classes(here[members], y[here.index], rest[members], sizes),
        "weighted": alternatives.weighted(here, y[here.index], rest),
        "ridge": alternatives.ridge(here, y[here.index], rest),
    }


def with_target(table: pd.DataFrame, targets: list[str]) -> tuple[pd.DataFrame, str]:
    """The table and the name of the one column to fit to."""
    if len(targets) == 1:
        return table, targets[0]
    return table.assign(**{MEAN_RANK: numbers(table, targets).rank(pct=True).mean(axis=1)}), MEAN_RANK


def judge_of(
    scores: pd.DataFrame, y: pd.Series, bias: pd.Series, sizes: pd.Series | None, window: ComparisonWindow | None
) -> Judge:
    """Of some rows, inside their own windows."""
    own = None if sizes is None else sizes[scores.index]
    return Judge(Candidates(scores, y[scores.index], bias[scores.index], own, window), None, "log_rank")


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
    text = "only the default rule and its best member, in a fraction of the time"
    parser.add_argument("--default-only", action="store_true", help=text)
    parser.add_argument("--mean-rank", action="store_true", help="also the mean rank by all targets")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    warnings.simplefilter("ignore", LswagWarning)  # a widened tolerance is no news in 20 fits
    targets, proxies = options.targets.split(","), options.proxies.split(",")
    joined = join([read_table(path, key=options.key) for path in options.tables])
    if options.only is not None:
        joined = joined.loc[joined.index.isin(read_table(options.only, key=options.key).index)]
    table, n_dropped = finite_numbers(joined, [*targets, options.bias, *proxies])
    if options.mean_rank:
        table, mean_rank = with_target(table, targets)
        targets = [*targets, mean_rank]
    rows = [
        row
        for target in targets
        for n in options.n or [len(table) // 2]
        for seed in range(options.subsets)
        for row in compared(table, target, options.bias, proxies, seed, n, options.window, options.default_only)
    ]
    found = pd.DataFrame(rows).assign(window=str(options.window or ""))
    found.round(4).to_csv(options.out, index=False)
    summary = found.groupby(["target", "n", "way"])[["rho", "rho_rest", "gain_rest"]].agg(["mean", "std", "min"])
    sys.stdout.write(f"{len(table)} architectures, {n_dropped} left out\n{summary.round(3).to_string()}\n")


if __name__ == "__main__":
    main()
