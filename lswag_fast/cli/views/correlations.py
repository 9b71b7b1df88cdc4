"""Tables of rank correlations on the terminal and as rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lswag_fast.cli import options
from lswag_fast.cli.console import OUT, say, table

if TYPE_CHECKING:
    import pandas as pd

    from lswag_fast.libra.windows import ComparisonWindow

_COLUMNS = {"spearman": "Spearman", "inside": "inside", "kendall": "Kendall", "top5": "top 5 %"}


def show_correlations(found: Mapping[str, pd.DataFrame], window: ComparisonWindow | None) -> None:
    """Print what `correlate` found for each target, best proxy first."""
    for target, rows in found.items():
        say(f"{target}:")
        _show(rows.sort_values("spearman", ascending=False))
    if window is None:
        return
    left_out = max(int((rows["n"] - rows["n_inside"]).max()) for rows in found.values())
    share = f"; {left_out} architecture(s) whose window holds fewer than 10 are left out there" if left_out else ""
    say(f"inside: the mean of the Spearman correlations inside windows, {window}{share}")


def joined_correlations(found: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of all targets, with the columns proxy and target."""
    import pandas as pd

    return pd.concat([rows.reset_index().assign(target=target) for target, rows in found.items()])


def _show(found: pd.DataFrame) -> None:
    measured = {name: title for name, title in _COLUMNS.items() if name in found.columns}
    rows = table("proxy", *measured.values(), "n", left=("proxy",))
    for name, row in found.iterrows():
        rows.add_row(str(name), *(_interval(row, measure) for measure in measured), f"{row['n']:.0f}")
    OUT.print(rows)


def _interval(row: pd.Series, name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return options.figure(row[name]) + ("" if low != low else f" [{low:.2f}, {high:.2f}]")  # NaN without resamples
