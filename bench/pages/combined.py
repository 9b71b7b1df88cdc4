"""Tables of LIBRA and other combinations, fitted on a part of a benchmark and judged on the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from bench.pages import markdown

# The ways of bench.correlation.libra_subsets, combinations and attainable. An earlier selection of Libra drew its
# members from proposals of halves, which the package no longer has.
WAYS = {
    "weights": "`Libra()`",
    "halves": '`Libra(rule="halves")`',
    "published": '`Libra(rule="published")`',
    "published_ranks": '`Libra(rule="published", binning="ranks")`',
    "proposals": "LIBRA, an earlier selection by proposals of halves",
    "proposals_ranks": 'the same with `binning="ranks"`',
    "best_member": "the best member alone",
    "largest_gain": "largest information gain instead of the least",
    "random_partners": "the best member and two at random",
    "agreeing": "the three that agree best, no labels",
    "all_proxies": "all proxies, by the sum of log ranks",
    "size_classes": 'the members of "halves", ranked inside thirds by size',
    "weighted": "weights of at least 0, fitted over all sizes and always kept",
    "ridge": "ridge regression on all ranks",
    "all_labels": "bound: at most three, chosen with the labels of all",
    "search": "bound: at most three, searched exhaustively on the half",
}


WORSE = 0.03
"""A combination that is farther below its best member makes a search worse."""


def held_out(targets: Mapping[str, str]) -> Callable[..., str]:
    """A line per way of CSVs of random halves: its correlation on the networks left out, the best mean first."""

    def make(*paths: Path) -> str:
        found = pd.concat([pd.read_csv(path) for path in paths])
        of_seed = found.groupby(["way", "seed"])["rho_rest"].mean().unstack()
        of_target = found.groupby(["way", "target"])["rho_rest"].mean().unstack()
        order = of_seed.mean(axis=1).sort_values(ascending=False, kind="stable").index
        rows = []
        for way in order:
            halves = of_seed.loc[way]
            cells = [markdown.number(of_target.loc[way, target]) for target in targets]
            rows.append([WAYS[way], *cells, markdown.with_range(halves.mean(), halves.min(), halves.max())])
        first = found.iloc[0]
        title = f"fitted on {first['n']}, judged on {first['n_rest']}, {found['seed'].nunique()} halves"
        return markdown.table([title, *targets.values(), "mean [least, largest half]"], rows)

    return make


def gains(benchmarks: Mapping[str, str], ways: Sequence[str]) -> Callable[..., str]:
    """A line per way of each CSV of subsets: what it gains over its best member on the networks left out."""

    def make(*paths: Path) -> str:
        found = {path: pd.read_csv(path) for path in paths}
        sizes = sorted({int(n) for table in found.values() for n in table["n"]})
        rows = []
        for table in found.values():
            gained = table.groupby(["way", "n"])["gain_rest"]
            means, least = gained.mean(), gained.min()
            for place, way in enumerate(way for way in ways if way in means.index):
                cells = [
                    f"{markdown.signed(means[way, n])} [{markdown.signed(least[way, n], 2)}]"
                    if (way, n) in means.index
                    else ""
                    for n in sizes
                ]
                rows.append(["" if place else benchmarks[table["target"].iloc[0]], WAYS[way], *cells])
        n_subsets = max(table["seed"].nunique() for table in found.values())
        titles = ["", f"mean gain [least of {n_subsets}]", *(f"{n} labels" for n in sizes)]
        return markdown.table(titles, rows, n_words=2)

    return make


RULES = ("weights", "halves", "published")


def default_rule(*paths: Path, ways: Sequence[str] = tuple(WAYS)) -> str:
    """A line per CSV, target and way: what the way ranks on the networks left out, and its best member there."""
    rows = []
    for path in paths:
        for (target, n), found in pd.read_csv(path, keep_default_na=False).groupby(["target", "n"], sort=False):
            best = found.loc[found["way"] == "best_member", "rho_rest"].mean()
            others = found[found["way"].isin(ways) & (found["way"] != "best_member")]
            for way, rule in others.groupby("way", sort=False):
                gains = rule["gain_rest"]
                rows.append(
                    [
                        path.stem.removesuffix("_window")
                        .removesuffix("_default")
                        .removesuffix("_sizes")
                        .replace("_", "-"),
                        f"`{target}`",
                        found["window"].iloc[0],
                        WAYS[str(way)],
                        str(n),
                        markdown.number(rule["rho_rest"].mean()),
                        markdown.number(best),
                        f"{markdown.signed(gains.mean())} [{markdown.signed(gains.min(), 2)}]",
                        f"{(gains < -WORSE).sum()} of {len(gains)}",
                    ]
                )
    titles = ["networks", "target", "inside windows of", "ranked by", "labels", "Spearman", "its best member"]
    return markdown.table([*titles, "gain [least]", "more than .03 below"], rows, n_words=4)


BOUNDS = {
    "params": "the parameters alone",
    "late": "the parameters of the last third of the blocks, rounded up",
    "deeper": "whether a network has more than the least number of blocks",
    "zico nwot": "`zico` + `nwot`",
    "best sum": "the best sum of one to three proxies",
    "best sum with late": "the same with the last third among them",
    "ridge": "ridge regression on all proxies, of either sign",
    "ridge with late": "the same on `zico`, `nwot` and the last third",
    "ridge with thirds": "the same on `zico`, `nwot` and all thirds",
    "boosting, means": "boosting on depth, width, mean heads and mean mlp ratio",
    "boosting, thirds": "the same, and those means of the first and last third",
}
"""The ways of bench.libra.ceiling; "other images" says itself what it is."""


def ceiling(sizes: Sequence[str]) -> Callable[[Path], str]:
    """A line per way of the CSV of `bench.libra.ceiling`: with the labels that it has seen, and on others."""

    def make(path: Path) -> str:
        found = pd.read_csv(path).set_index("space")
        spaces = [found.loc[[f"autoformer_{size}"]].set_index(["networks", "way"]) for size in sizes]
        rows = []
        for networks, way in spaces[0].index:
            of_way = [space.loc[(networks, way)] for space in spaces]
            counts = ", ".join(f"{row['n']}" for row in of_way)
            cells = [
                cell
                for row in of_way
                for cell in (
                    markdown.number(row["seen"]),
                    markdown.with_range(row["unseen"], row["low"], row["high"]),
                )
            ]
            rows.append([f"{networks}: {counts}", BOUNDS.get(way, way), *cells])
        windows = [space["window"].iloc[0].removeprefix("params ") for space in spaces]
        titles = [
            title
            for size, window in zip(sizes, windows, strict=True)
            for title in (f"{size.capitalize()}, {window}: labels seen", "not seen")
        ]
        return markdown.table(["networks", "ranked by", *titles], rows, n_words=2)

    return make


def label_free(names: Mapping[tuple[str, str], str], alone: Sequence[str] | None = None) -> Callable[[Path], str]:
    """A line per proxy and combination of the CSV of `bench.libra.label_free`, the best mean inside windows first.

    Args:
        names: What a space and target are called, each of them a column: inside windows, and in brackets over all.
        alone: The single proxies that are listed, None for all.
    """

    def make(path: Path) -> str:
        rows = pd.read_csv(path)
        shown = rows["proxies"].str.contains(" ") | (alone is None or rows["proxies"].isin(alone))
        found = rows[shown].set_index(["space", "target"]).loc[list(names)]
        of_way = found.set_index("proxies", append=True).unstack(["space", "target"])
        order = of_way["inside"].mean(axis=1).sort_values(ascending=False, kind="stable").index
        lines = []
        for way in order:
            cells = []
            for place in names:
                row = of_way.loc[way].xs(place, level=("space", "target"))
                inside = markdown.with_range(row["inside"], row["inside_low"], row["inside_high"])
                cells.append(f"{inside} ({markdown.number(row['spearman'])})")
            lines.append([" + ".join(f"`{name}`" for name in str(way).split()), *cells])
        counts = found.groupby(level=["space", "target"], sort=False)["n"].max()
        titles = [f"{title}, {counts[place]} networks" for place, title in names.items()]
        return markdown.table(["inside windows of params [95 % interval] (over all)", *titles], lines)

    return make


def variants(spaces: Sequence[str]) -> Callable[..., str]:
    """A line per variant of L-SWAG, or proxy: inside windows in each space, and how much better than the default."""

    def make(*paths: Path) -> str:
        found = [pd.read_csv(path).set_index("variant") for path in paths]
        rows = []
        for name in found[0].index:
            cells = []
            for table in found:
                row = table.loc[name] if name in table.index else pd.Series(dtype=float)
                ends = (markdown.signed(row.get(end, math.nan), 2) for end in ("low", "high"))
                difference = f"{markdown.signed(row.get('difference', math.nan))} {markdown.bracketed(*ends)}"
                cells += [markdown.number(row.get("inside_window", math.nan)), difference]
            rows.append([name, *cells])
        titles = [
            title
            for space, table in zip(spaces, found, strict=True)
            for title in (f"{space}, {table['n'].max()} networks", "to the default")
        ]
        return markdown.table(["Spearman inside windows of params +-8 %", *titles], rows)

    return make
