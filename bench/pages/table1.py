"""The tables of the columns of the paper's Table 1, with the published numbers beside."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from bench.pages import markdown
from bench.table1.columns import COLUMNS, LIBRA, NO_LABELS, PROXY
from bench.table1.published import ACCURACY, BIAS, PLACES, SPEARMAN
from bench.table1.published import LIBRA as PUBLISHED_LIBRA
from bench.table1.ways import BEST_MEMBER, DEFAULT_RULE, PUBLISHED_RULE

NOT_MEASURED = "not measured"
ALONE = ("lswag", DEFAULT_RULE, PUBLISHED_RULE, BEST_MEMBER, "params", "flops")
"""The ways that the first tables show, before the best proxy."""
WORDS = {
    DEFAULT_RULE: "`Libra()`",
    PUBLISHED_RULE: '`Libra(rule="published")`',
    "libra:halves": '`Libra(rule="halves")`',
    BEST_MEMBER: "the best member alone",
}
KINDS = (LIBRA, NO_LABELS, PROXY)
COMPARED = ("lswag", PUBLISHED_LIBRA, "te_nas", "t_cet", "az_nas", "zico", "swap", "xi_gsnr", "nwot", "params", "flops")
"""Of which a table has the published numbers beside ours."""
BIASED = (ACCURACY, "lswag", "zico", "swap", "nwot")


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path).set_index("proxy", drop=False)


def _with_interval(row: pd.Series, name: str, digits: int = 3) -> str:
    value = row.get(name, math.nan)
    if math.isnan(value):
        return ""
    return markdown.with_range(value, row[f"{name}_low"], row[f"{name}_high"], digits)


def _cell(rows: pd.DataFrame, way: str, figure: str) -> str:
    return _with_interval(rows.loc[way], figure) if way in rows.index else ""


def _best(rows: pd.DataFrame, figure: str) -> str:
    found = rows[(rows["kind"] == PROXY) & rows[figure].notna()]
    if not len(found):
        return ""
    best = found.loc[found[figure].idxmax()]
    return f"`{best['proxy']}` {_with_interval(best, figure)}"


def over_all(path: Path) -> str:
    """A line per column: L-SWAG, LIBRA, the sizes and the best single proxy over all of its networks."""
    found, lines = _read(path), []
    for name, column in COLUMNS.items():
        rows = found[found["column"] == name]
        if not len(rows):
            lines.append([column.title, NOT_MEASURED, *[""] * (len(ALONE) + 1)])
            continue
        own = [_cell(rows, way, "spearman") for way in ALONE]
        lines.append([column.title, *own, _best(rows, "spearman"), f"{rows['n'].max():.0f}"])
    return markdown.table(_titles("Spearman over all", "n"), lines)


def inside(path: Path) -> str:
    """The same inside windows of the parameters, for the columns whose windows hold enough networks."""
    found, lines = _read(path), []
    for name in found["column"].unique():
        rows = found[found["column"] == name]
        if rows["inside"].notna().any():
            share = f"+-{100 * COLUMNS[name].share:g} %"
            own = [_cell(rows, way, "inside") for way in ALONE]
            lines.append(
                [f"{COLUMNS[name].title}, {share}", *own, _best(rows, "inside"), f"{rows['n_inside'].max():.0f}"]
            )
    return markdown.table(_titles("Spearman inside windows of params", "networks with a window"), lines)


def _titles(first: str, last: str) -> Sequence[str]:
    return [first, *(WORDS.get(way, f"`{way}`") for way in ALONE), "the best proxy", last]


def beside_published(path: Path) -> str:
    """A line per column of the paper: each method here, and in brackets what was published."""
    found, lines = _read(path), []
    for name in PLACES:
        rows = found[found["column"] == name]
        cells = []
        for way in COMPARED:
            own = PUBLISHED_RULE if way == PUBLISHED_LIBRA else way
            value = markdown.number(rows.loc[own, "spearman"]) if own in rows.index else ""
            theirs = markdown.number(SPEARMAN[way].get(name, math.nan), 2)
            cells.append(" ".join(part for part in (value, f"({theirs})" if theirs else "") if part))
        lines.append([COLUMNS[name].title, *cells])
    titles = ["Spearman (published)", *("LIBRA" if way == PUBLISHED_LIBRA else f"`{way}`" for way in COMPARED)]
    return markdown.table(titles, lines)


def of_column(name: str) -> Callable[[Path], str]:
    """A line per way to rank the networks of a column: LIBRA, then what sees no labels, then single proxies."""

    def make(path: Path) -> str:
        found = _read(path)
        rows = found[found["column"] == name]
        figures = {"spearman": "Spearman over all", "inside": f"inside params +-{100 * COLUMNS[name].share:g} %"}
        figures |= {"inside_embed_dim": "inside one embed_dim"}
        figures |= {"kendall": "Kendall", "ndcg10": "nDCG@10", "top5": "top 5 %"}
        shown = [figure for figure in figures if figure in rows and rows[figure].notna().any()]
        lines = []
        for kind in KINDS:
            for _, row in rows[rows["kind"] == kind].sort_values("spearman", ascending=False, kind="stable").iterrows():
                cells = [_with_interval(row, figure) for figure in shown]
                published = markdown.number(row["published"], 2)
                lines.append([_name(row), *cells, published, f"{row['n']:.0f}"])
        return markdown.table(["ranked by", *(figures[figure] for figure in shown), "published", "n"], lines)

    return make


def _name(row: pd.Series) -> str:
    if row["kind"] == LIBRA:
        return WORDS[row["proxy"]]
    names = row["proxy"].split()
    return " + ".join(f"`{name}`" for name in names)


def bias(path: Path) -> str:
    """A line per column: how far its accuracy and four proxies follow the parameters, and the paper's numbers."""
    found = pd.read_csv(path).set_index(["column", "of"])
    lines = []
    for name in found.index.get_level_values("column").unique():
        cells = []
        for of in BIASED:
            row = found.loc[(name, of)]
            theirs = markdown.number(BIAS[of].get(name, math.nan), 2)
            cells.append(f"{markdown.number(row['pearson'], 2)}, {markdown.number(row['ranks'], 2)}")
            cells[-1] += f" ({theirs})" if theirs else ""
        lines.append([COLUMNS[name].title, *cells, str(found.loc[name]["n"].max())])
    titles = ["with the parameters: Pearson, of ranks (published)", "accuracy", *(f"`{of}`" for of in BIASED[1:]), "n"]
    return markdown.table(titles, lines)
