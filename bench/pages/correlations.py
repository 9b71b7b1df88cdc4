"""Tables of what proxies and their combinations reach on a benchmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.pages import markdown

Titles = Mapping[str, str]
"""A column or row of the CSV, and what the table calls it."""

# NAS-Bench-201 as others measured it: for lswag, zico, t_cet and swap Tables 1 and 3 of the L-SWAG paper, which drew
# 1,000 cells, for xi_gsnr and meco their own papers', for the rest Table 1 of ZiCo, each of these over all cells.
PUBLISHED = {
    "meco": ".89 .88 .85",
    "lswag": ".79 .83 .80",
    "t_cet": ".77 .80 .81",
    "zico": ".75 .80 .78",
    "swap": ".71 .75 .71",
    "synflow": ".73 .76 .75",
    "xi_gsnr": ".85 .84 .79",
    "params": ".75 .73 .69",
    "flops": ".73 .71 .67",
    "snip": ".63 .63 .58",
    "grad_norm": ".63 .63 .58",
    "fisher": ".55 .55 .50",
    "grasp": ".54 .51 .56",
    "zen": ".38 .36 .40",
}


@dataclass(frozen=True)
class Group:
    """A column of correlations.

    Attributes:
        title: Above it in the table.
        target: What the proxies are compared with.
        among: The networks that are compared.
        inside: Whether inside windows, rather than over all of them.
    """

    title: str
    target: str
    among: str = "all"
    inside: bool = False

    @property
    def statistic(self) -> str:
        """The column of the CSV."""
        return "inside" if self.inside else "spearman"

    @property
    def count(self) -> str:
        """The column of the CSV that counts the networks."""
        return "n_inside" if self.inside else "n"


def per_proxy(
    targets: Titles,
    *,
    statistic: str = "spearman",
    shows_mean: bool = False,
    published: Mapping[str, str] | None = None,
    among: str = "all",
    windows: Sequence[str] = (),
) -> Callable[..., str]:
    """A line per proxy of CSVs of `lswag-fast correlate`, the best mean over the targets first.

    A proxy that several have is taken from the first. Of a CSV with groups of networks, the lines are of one of them.
    With windows, the last CSV is that of `bench.table1.columns`, and its correlations inside windows in these of its
    columns stand in one cell.
    """

    def make(*paths: Path) -> str:
        inside = _inside(paths[-1], windows) if windows else {}
        own = paths[:-1] if windows else paths
        every = pd.concat([_among(pd.read_csv(path), among) for path in own]).set_index(["proxy", "target"])
        found = every[~every.index.duplicated()]
        means = found[statistic].unstack()[list(targets)].mean(axis=1).sort_values(ascending=False, kind="stable")
        counts = found["n"].groupby("proxy").min()
        rows = []
        for proxy, mean in means.items():
            cells = [_with_interval(found.loc[(proxy, target)], statistic) for target in targets]
            extra = [markdown.number(mean)] if shows_mean else []
            extra += [str(counts[proxy])]
            extra += [inside.get(str(proxy), "")] if windows else []
            extra += [published.get(str(proxy), "")] if published is not None else []
            rows.append([f"`{proxy}`", *cells, *extra])
        titles = [*targets.values(), *["mean"] * shows_mean, "n", *["inside params +-8 %"] * bool(windows)]
        titles += ["published"] * (published is not None)
        return markdown.table([f"{statistic.capitalize()} [95 % interval]", *titles], rows)

    return make


def _inside(table1: Path, columns: Sequence[str]) -> dict[str, str]:
    """What each proxy reaches inside windows in some columns of Table 1."""
    found = pd.read_csv(table1).pivot_table(index="proxy", columns="column", values="inside")[list(columns)].dropna()
    return {str(proxy): " ".join(markdown.number(value, 2) for value in row) for proxy, row in found.iterrows()}


def per_group(columns: Sequence[Group]) -> Callable[[Path], str]:
    """A line per proxy of a CSV of `bench.correlation.newer`, the best of the first column first."""

    def make(path: Path) -> str:
        found = pd.read_csv(path)
        rows = [_among(found[found["target"] == group.target], group.among).set_index("proxy") for group in columns]
        order = rows[0][columns[0].statistic].sort_values(ascending=False, kind="stable").index
        lines = []
        for proxy in order:
            own = [row.loc[proxy] for row in rows]
            cells = [_with_interval(row, group.statistic) for row, group in zip(own, columns, strict=True)]
            counts = [str(int(row[group.count])) for row, group in zip(own, columns, strict=True)]
            lines.append([f"`{proxy}`", *cells, ", ".join(dict.fromkeys(counts))])
        return markdown.table(["Spearman [95 % interval]", *(group.title for group in columns), "n"], lines)

    return make


def _among(found: pd.DataFrame, group: str) -> pd.DataFrame:
    """The rows of one group of networks; all rows of a CSV without groups."""
    return found[found["among"] == group] if "among" in found else found


def _with_interval(row: pd.Series, statistic: str) -> str:
    return markdown.with_range(row[statistic], row[f"{statistic}_low"], row[f"{statistic}_high"])


def per_run(runs: Titles, proxies: Sequence[str] | None = None) -> Callable[[Path], str]:
    """A line per proxy of a CSV of `bench.correlation.runs`: its mean over the targets in each run."""

    def make(path: Path) -> str:
        found = pd.read_csv(path)
        means = found.pivot_table(index="proxy", columns="run", values="spearman", aggfunc="mean")[list(runs)].dropna()
        chosen = means if proxies is None else means.loc[list(proxies)]
        order = chosen.mean(axis=1).sort_values(ascending=False, kind="stable").index
        rows = [[f"`{proxy}`", *(markdown.number(rho) for rho in chosen.loc[proxy])] for proxy in order]
        n_targets = found["target"].nunique()
        return markdown.table([f"mean Spearman of {n_targets} targets", *runs.values()], rows)

    return make


def against_first(runs: Titles) -> Callable[[Path], str]:
    """A line per proxy of a CSV of `bench.correlation.runs`: its mean over the targets, and its agreement.

    The agreement is with the values of the first run.
    """

    def make(path: Path) -> str:
        found = pd.read_csv(path)
        means = found.groupby(["proxy", "run"])[["spearman", "agreement"]].mean().unstack().dropna()
        order = means["spearman"][next(iter(runs))].sort_values(ascending=False, kind="stable").index
        rows = []
        for proxy in order:
            both = [(means.loc[proxy, ("spearman", run)], means.loc[proxy, ("agreement", run)]) for run in runs]
            rows.append([f"`{proxy}`", *(f"{markdown.number(rho)} ({markdown.number(like)})" for rho, like in both)])
        return markdown.table([f"{found['n'].max()} networks", *runs.values()], rows)

    return make


def without_labels(targets: Titles) -> Callable[[Path], str]:
    """A line per combination of a CSV of `bench.correlation.combinations` that sees no accuracy."""

    def make(path: Path) -> str:
        found = pd.read_csv(path).query("study == 'no labels'").set_index(["way", "target"])
        means = found["spearman"].unstack()[list(targets)].mean(axis=1).sort_values(ascending=False, kind="stable")
        rows = []
        for way, mean in means.items():
            of_way = [found.loc[(way, target)] for target in targets]
            cells = [markdown.with_range(row["spearman"], row["low"], row["high"]) for row in of_way]
            rows.append([_members(str(way), of_way[0]["members"]), *cells, markdown.number(mean)])
        title = f"no labels, {found['n'].iloc[0]} networks: Spearman [95 % interval]"
        return markdown.table([title, *targets.values(), "mean"], rows)

    return make


def _members(way: str, members: str) -> str:
    names = members.split()
    return f"all {len(names)} proxies" if way == "all proxies" else ", ".join(f"`{name}`" for name in names)
