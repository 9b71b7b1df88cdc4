"""The newer proxies beside others on the same networks: `python -m bench.correlation.newer scores.csv...
--targets COLUMN,... --out FILE.csv [--beside FILE.csv.gz] [--window COLUMN:SHARE%] [--by COLUMN | --whole-cells]`.

Each file is what `lswag-fast evaluate` wrote. With --beside, from that table of scores of the same networks the columns
that it lacks are taken: those of `BESIDE`, and the parts of `vkdnw_agg`, which is ranked among the networks that are
compared. The result has a row for each proxy and target, as `lswag-fast correlate` writes them, with the networks that
are compared in the column `among`: "all", and with --by also those of each value of a column, with --whole-cells those
cells of NAS-Bench-201 in which no "none" cuts an operation off. A group of fewer than 10 is left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from lswag_fast import list_proxies, rank_aggregate
from lswag_fast.data.tables import MIN_ROWS, read_table
from lswag_fast.evaluation.correlation import correlate
from lswag_fast.libra.ranking import oriented
from lswag_fast.libra.windows import ComparisonWindow
from lswag_fast.proxies import get_proxy

BESIDE = ("params", "lswag")
RANKED = "vkdnw_agg"
ALL, WHOLE = "all", "whole cells"
_EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""Of a cell of NAS-Bench-201, (from, to), in the order of its text."""


def correlations(
    scores: pd.DataFrame,
    targets: Sequence[str],
    beside: pd.DataFrame | None = None,
    *,
    by: str | None = None,
    whole_cells: bool = False,
    window: ComparisonWindow | None = None,
) -> pd.DataFrame:
    """The proxies of one file, and with their parts also the ranked one, against each target."""
    table = scores
    if beside is not None:
        table = scores.join(beside[[name for name in beside if name not in scores]], how="inner")
    found = []
    for among, rows in _groups(table, by, whole_cells):
        names = [name for name in scores if name in {info.name for info in list_proxies()}]
        names += [name for name in BESIDE if beside is not None and name not in names]
        parts = list(get_proxy(RANKED).parts)
        if set(parts) <= set(rows):
            rows = rows.assign(**{RANKED: rank_aggregate(oriented(rows, parts), "log_rank")})
            names += [name for name in (*parts, RANKED) if name not in names]
        for target in targets:
            one = correlate(rows, target, names, window=window).reset_index()
            found.append(one.assign(target=target, among=among))
    return pd.concat(found)


def is_whole(cell: str) -> bool:
    """Whether each operation of a cell of NAS-Bench-201 but "none" lies on a path from its input to its output.

    These are the 9,445 cells of NAS-Bench-Suite-Zero, the one without any operation among them.
    """
    names = [text.split("~")[0] for text in cell.replace("|+|", "|").strip("|").split("|")]
    live = [edge for edge, name in zip(_EDGES, names, strict=True) if name != "none"]
    fed, read = {0}, {3}
    for source, node in live:  # in topological order
        fed |= {node} if source in fed else set()
    for source, node in reversed(live):
        read |= {source} if node in read else set()
    return all(source in fed and node in read for source, node in live)


def _groups(table: pd.DataFrame, by: str | None, whole_cells: bool) -> Iterator[tuple[str, pd.DataFrame]]:
    yield ALL, table
    if whole_cells:
        yield WHOLE, table[[is_whole(str(cell)) for cell in table.index]]
    if by is not None:
        for value, rows in table.groupby(by):
            if len(rows) >= MIN_ROWS:
                yield f"{by} {value:g}", rows


def main() -> None:
    """Read the command line, correlate and write."""
    parser = argparse.ArgumentParser(description="The newer proxies beside others on the same networks.")
    parser.add_argument("scores", nargs="+", type=Path)
    parser.add_argument("--targets", required=True)
    parser.add_argument("--beside", type=Path)
    parser.add_argument("--window", type=ComparisonWindow.parse)
    groups = parser.add_mutually_exclusive_group()
    groups.add_argument("--by")
    groups.add_argument("--whole-cells", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    targets = given.targets.split(",")
    beside = None if given.beside is None else read_table(given.beside)
    options = {"by": given.by, "whole_cells": given.whole_cells, "window": given.window}
    found = pd.concat([correlations(read_table(path), targets, beside, **options) for path in given.scores])
    found.drop_duplicates(["proxy", "target", "among"]).round(4).to_csv(given.out, index=False)


if __name__ == "__main__":
    main()
