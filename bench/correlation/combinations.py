"""LIBRA and combinations without labels on one table of scores: `python -m bench.correlation.combinations scores.csv
--targets COLUMN,... --out FILE.csv --plot FILE.png`.

scores.csv is what `lswag-fast evaluate` wrote. A row of the result is one way to rank the architectures for one target.
Study "subsets": the ways of `bench.correlation.libra_subsets`, fitted on random halves; `spearman` is the mean over the
halves that were fitted on, `rest` that over the held-out halves, `low` and `high` the least and the largest on the
latter. "whole table": LIBRA fitted and judged on all rows, with a bootstrap interval. "no labels": the combinations of
`COMBINATIONS`, all of them, with bootstrap intervals.

The combinations were written down before they were measured on such a table; L-SWAG with jacov and params alone was
known to do well on a few other cells. They follow one argument: a sum of the logarithms of ranks gains from proxies
that are wrong about different networks, and proxies are wrong about different networks where they look at different
things. L-SWAG sees the gradients of weights and the activation patterns, jacov the gradients of the inputs, synflow
the paths of the weights, az_nas the features, params and flops the size.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bench.correlation.libra_subsets import compared, rules
from lswag_fast import LswagWarning, list_proxies, rank_aggregate
from lswag_fast.data.tables import finite_numbers, read_table
from lswag_fast.evaluation.correlation import correlate
from lswag_fast.libra.ranking import oriented

AZ_NAS = ("az_nas_expressivity", "az_nas_progressivity", "az_nas_trainability", "flops")

Rows = list[dict[str, Any]]

COMBINATIONS: dict[str, tuple[str, ...]] = {
    "weights, patterns": ("zico", "swap"),
    "weights, patterns, size": ("zico", "swap", "flops"),
    "weights, patterns, inputs, size": ("zico", "nwot", "jacov", "params"),
    "L-SWAG, size": ("lswag", "params"),
    "L-SWAG, inputs": ("lswag", "jacov"),
    "L-SWAG, inputs, size": ("lswag", "jacov", "params"),
    "L-SWAG, inputs, paths": ("lswag", "jacov", "logsynflow"),
    "L-SWAG, inputs, paths, size": ("lswag", "jacov", "logsynflow", "params"),
    "L-SWAG, features": ("lswag", "az_nas_expressivity", "az_nas_trainability"),
    "L-SWAG, inputs, features, size": ("lswag", "jacov", "az_nas_expressivity", "az_nas_trainability", "flops"),
    "AZ-NAS": AZ_NAS,
    "AZ-NAS for transformers": ("az_nas_expressivity", "az_nas_trainability", "flops"),
    "AZ-NAS, L-SWAG": (*AZ_NAS, "lswag"),
}

MOST_MISSING = 0.1
"""A proxy without a value for more of the networks is left out: a row counts only where all proxies have one."""


def pool(table: pd.DataFrame, names: Sequence[str] | None = None) -> list[str]:
    """The proxies of a table that nearly every architecture has a value of, and that vary."""
    known = [info.name for info in list_proxies() if not info.parts and info.name in table.columns]
    chosen = known if names is None else list(names)
    finite = table[chosen].apply(pd.to_numeric).replace([float("inf"), -float("inf")], float("nan"))
    return [name for name in chosen if finite[name].isna().mean() <= MOST_MISSING and finite[name].nunique() > 1]


def on_subsets(table: pd.DataFrame, target: str, proxies: list[str], n_subsets: int) -> Rows:
    """Each way, fitted on random halves and judged there and on the rest."""
    rows = [
        row for seed in range(n_subsets) for row in compared(table, target, "params", proxies, seed, len(table) // 2)
    ]
    found = pd.DataFrame(rows)
    summary = []
    for way, group in found.groupby("way", sort=False):
        rest = group["rho_rest"]
        means = {"spearman": group["rho"].mean(), "rest": rest.mean(), "low": rest.min(), "high": rest.max()}
        chosen = group["selection"].mode().iloc[0]
        summary.append({"study": "subsets", "way": way, "members": chosen, "target": target, **means})
    return summary


def with_intervals(
    table: pd.DataFrame, target: str, study: str, members: Mapping[str, Sequence[str]], resamples: int, seed: int
) -> Rows:
    """Each combination by the sum of the logarithms of its ranks, with the interval of its Spearman correlation."""
    columns = {way: rank_aggregate(oriented(table, names)) for way, names in members.items()}
    measured = correlate(
        pd.DataFrame({target: table[target], **columns}), target, list(members), n_bootstrap=resamples, seed=seed
    )
    return [
        {
            "study": study,
            "way": way,
            "members": " ".join(names),
            "target": target,
            "spearman": measured.loc[way, "spearman"],
            "low": measured.loc[way, "spearman_low"],
            "high": measured.loc[way, "spearman_high"],
        }
        for way, names in members.items()
    ]


def of_target(
    table: pd.DataFrame, target: str, proxies: list[str], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """All rows of one target."""
    fitted = {way: libra.fit(table, target, "params", proxies) for way, libra in rules().items()}
    whole = {way: libra.selection for way, libra in fitted.items() if libra.result.weights is None}
    whole["best_member"] = whole["libra"][:1]
    free = {way: names for way, names in COMBINATIONS.items() if set(names) <= set(proxies)}
    free["all proxies"] = tuple(proxies)
    rows = on_subsets(table, target, proxies, options.subsets)
    rows += with_intervals(table, target, "whole table", whole, options.resamples, options.seed)
    return rows + with_intervals(table, target, "no labels", free, options.resamples, options.seed)


def plot(found: pd.DataFrame) -> Any:
    """A panel a study, a colour a target."""
    from matplotlib.figure import Figure

    shown = {"subsets": "held-out halves, mean and range of the subsets", "no labels": "no labels, 95 % interval"}
    heights = [found.loc[found["study"] == study, "way"].nunique() for study in shown]
    figure = Figure(figsize=(9, 1.5 + 0.32 * sum(heights)), layout="constrained")
    panels = figure.subplots(2, 1, height_ratios=heights, sharex=True)
    for axes, (study, title) in zip(panels, shown.items(), strict=True):
        rows = found[found["study"] == study]
        value = "rest" if study == "subsets" else "spearman"
        order = rows.groupby("way")[value].mean().sort_values().index
        for shift, (target, group) in enumerate(rows.groupby("target", sort=False)):
            chosen = group.set_index("way").loc[order]
            ends = [chosen[value] - chosen["low"], chosen["high"] - chosen[value]]
            at = [place + 0.2 * (shift - 1) for place in range(len(order))]
            axes.errorbar(chosen[value], at, xerr=ends, fmt="o", markersize=4, capsize=2, label=target)
        axes.set_yticks(range(len(order)), list(order))
        axes.set_title(title)
        axes.grid(axis="x", alpha=0.3)
    panels[0].legend()
    panels[-1].set_xlabel("Spearman correlation with the accuracy")
    return figure


def main() -> None:
    """Read the command line, measure and write."""
    parser = argparse.ArgumentParser(description="LIBRA and combinations without labels on a table of scores.")
    parser.add_argument("scores", type=Path)
    parser.add_argument("--targets", required=True)
    parser.add_argument("--proxies", help="the pool (default: every proxy that nearly every architecture has)")
    parser.add_argument("--subsets", type=int, default=20)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore", LswagWarning)  # a widened tolerance is no news in 20 fits
    read = read_table(options.scores)
    proxies = pool(read, options.proxies.split(",") if options.proxies else None)
    targets = options.targets.split(",")
    table, n_dropped = finite_numbers(read, [*targets, "params", *proxies])
    rows = [row for target in targets for row in of_target(table, target, proxies, options)]
    found = pd.DataFrame(rows).assign(n=len(table), n_dropped=n_dropped)
    found.round(4).to_csv(options.out, index=False)
    if options.plot is not None:
        plot(found).savefig(options.plot, dpi=150)
    wide = found.pivot_table(index=["study", "way"], columns="target", values=["spearman", "rest"], sort=False)
    sys.stdout.write(f"{len(table)} architectures, {n_dropped} left out; pool: {', '.join(proxies)}\n")
    sys.stdout.write(wide.round(3).to_string() + "\n")


if __name__ == "__main__":
    main()
