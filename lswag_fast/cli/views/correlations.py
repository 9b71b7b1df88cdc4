"""Tables of rank correlations on the terminal and as rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from lswag_fast.cli import options
from lswag_fast.cli.console import fits, say, show_whole, table

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from lswag_fast.libra.windows import ComparisonWindow

_COLUMNS = {"spearman": "Spearman", "inside": "inside", "kendall": "Kendall", "top5": "top 5 %"}
# Whose intervals a narrow terminal misses least, those first.
_FIRST_TO_GO = ("kendall", "top5", "inside", "spearman")


def show_correlations(found: Mapping[str, pd.DataFrame], window: ComparisonWindow | None) -> None:
    """Print what `correlate` found for each target, best proxy first."""
    for target, rows in found.items():
        say(f"{target}:")
        _show(rows.sort_values("spearman", ascending=False))
    if window is None:
        return
    left_out = max(int((rows["n"] - rows["n_inside"]).max()) for rows in found.values())
    share = f"; left out there: {left_out} whose {window.noun} holds fewer than 10 architectures" if left_out else ""
    say(f"inside: the mean of the Spearman correlations {window.inside}{share}")


def joined_correlations(found: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of all targets, with the columns proxy and target."""
    import pandas as pd

    return pd.concat([rows.reset_index().assign(target=target) for target, rows in found.items()])


def _show(found: pd.DataFrame) -> None:
    """Print one line per proxy; a terminal that is too narrow gets fewer intervals, and is told which are missing."""
    measured = [name for name in _COLUMNS if name in found.columns]
    missing: list[str] = []
    rows = _rows(found, measured, missing)
    for name in (name for name in _FIRST_TO_GO if name in measured):
        if fits(rows):
            break
        missing.append(name)
        rows = _rows(found, measured, missing)
    show_whole(rows)
    if missing:
        titles = ", ".join(_COLUMNS[name] for name in missing)
        say(f"a wider terminal shows the intervals, too, of: {titles}")


def _rows(found: pd.DataFrame, measured: Collection[str], without_interval: Collection[str]) -> Table:
    rows = table("proxy", *(_COLUMNS[name] for name in measured), "n", left=("proxy",))
    for proxy, row in found.iterrows():
        cells = [
            options.figure(row[name]) + ("" if name in without_interval else _interval(row, name)) for name in measured
        ]
        rows.add_row(str(proxy), *cells, f"{row['n']:.0f}")
    return rows


def _interval(row: pd.Series, name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return "" if low != low else f" [{low:.2f}, {high:.2f}]"  # NaN without resamples
