"""Table 6 of the paper, how far accuracies and proxies follow the size: `python -m bench.table1.bias
COLUMN=scores.csv... --out FILE.csv`.

The columns are those of `bench.table1.columns`. A row of the result is the accuracy of a column, or one of its proxies,
against the parameters of its networks: Pearson's correlation of the values, which the published numbers agree with,
and of the ranks, as the paper's text has it, with the interval of 95 % over resamples of the networks; `published` is
what the paper has.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from bench.table1 import published, ways
from bench.table1.columns import COLUMNS, add_scores, tables
from lswag_fast.data.tables import finite_numbers
from lswag_fast.evaluation import correlate

SIZE = "params"


def measured(name: str, scores: pd.DataFrame, resamples: int, seed: int) -> list[dict[str, object]]:
    """A row for the accuracy of a column and for each of its proxies."""
    target = COLUMNS[name].target
    values = {published.ACCURACY: target, **{proxy: proxy for proxy in ways.proxies(scores) if proxy != SIZE}}
    rows: list[dict[str, object]] = []
    for of, column in values.items():
        table, _ = finite_numbers(scores, [column, SIZE])
        ranks = correlate(table, SIZE, [column], n_bootstrap=resamples, seed=seed).loc[column]
        rows.append(
            {
                "column": name,
                "of": of,
                "pearson": table[column].corr(table[SIZE]),
                **{f"ranks{end}": ranks[f"spearman{end}"] for end in ("", "_low", "_high")},
                "n": len(table),
                "published": published.BIAS.get(of, {}).get(name, float("nan")),
            }
        )
    return rows


def main() -> None:
    """Read the command line, measure and write."""
    parser = argparse.ArgumentParser(description="How far accuracies and proxies follow the size.")
    add_scores(parser)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    scored = tables(options.scores).items()
    rows = [row for name, scores in scored for row in measured(name, scores, options.resamples, options.seed)]
    found = pd.DataFrame(rows)
    found.round(4).to_csv(options.out, index=False)
    sys.stdout.write(f"{found.round(3).to_string(index=False)}\n")


if __name__ == "__main__":
    main()
