"""How proxies rank the inherited accuracies of networks: `python -m bench.training.ranks SCORES --out FILE`.

SCORES is what `lswag-fast evaluate` makes of a table of `lswag-fast benchmark`. A row per proxy: its Spearman over all,
inside windows of +-8 % parameters, and inside one width, each with the percentile interval of 95 % over resamples of
the networks.
"""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

import pandas as pd

from bench.csv_file import append
from bench.machine import machine_columns
from lswag_fast.data.tables import read_table
from lswag_fast.evaluation.correlation import correlate
from lswag_fast.libra.windows import ComparisonWindow
from lswag_fast.proxies import list_proxies

TARGET = "inherited_accuracy"
WINDOWS = {"window": ComparisonWindow("n_params", 0.08), "width": ComparisonWindow("embed_dim")}
ENDS = ("", "_low", "_high")
COLUMNS = (
    "proxy",
    "n",
    *(f"spearman{end}" for end in ENDS),
    *(f"{name}{end}" for name in WINDOWS for end in ENDS),
    "n_window",
    "n_width",
    "date",
)


def ranked(table: pd.DataFrame, n_bootstrap: int) -> pd.DataFrame:
    """The correlations of every proxy of a table, with the columns of the CSV."""
    names = [info.name for info in list_proxies() if info.name in table.columns]
    found = pd.DataFrame(index=pd.Index(names, name="proxy"))
    for name, window in WINDOWS.items():
        own = correlate(table, TARGET, names, window=window, n_bootstrap=n_bootstrap)
        for end in ENDS:
            found[f"spearman{end}"], found[f"{name}{end}"] = own[f"spearman{end}"], own[f"inside{end}"]
        found["n"], found[f"n_{name}"] = own["n"].astype(int), own["n_inside"].astype(int)
    return found.sort_values("spearman", ascending=False, kind="stable")


def main() -> None:
    """Correlate and write a row for each proxy."""
    parser = argparse.ArgumentParser(description="How proxies rank inherited accuracies.")
    parser.add_argument("scores", type=Path, metavar="SCORES", help="of `lswag-fast evaluate`")
    parser.add_argument("--out", type=Path, required=True, help="the CSV file, which is replaced")
    parser.add_argument("--resamples", type=int, default=500, help="(default: 500)")
    options = parser.parse_args()
    options.out.unlink(missing_ok=True)
    more = {"date": date.today().isoformat(), **machine_columns()}
    for row in ranked(read_table(options.scores), options.resamples).reset_index().to_dict("records"):
        append(options.out, [*COLUMNS, *machine_columns()], {**row, **more})


if __name__ == "__main__":
    main()
