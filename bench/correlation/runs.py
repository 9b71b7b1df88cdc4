"""The same proxies under other seeds, initialisations or options: `python -m bench.correlation.runs NAME=scores.csv...
--targets COLUMN,... --out FILE.csv`.

Each file is what `lswag-fast evaluate` wrote for the same table; the others are compared with the first. A row of the
result is one proxy of one run against one target: Spearman with its 95 % interval, and the difference to the first run
on the same networks, with the interval of that difference; `agreement` is the Spearman of the proxy's values in both
runs, and `price` the median over the networks of the time that scoring one took, in times of the first run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from bench.correlation.ablations import bootstrapped
from lswag_fast import list_proxies
from lswag_fast.data.tables import read_table
from lswag_fast.evaluation.evaluate import ELAPSED


def compared(runs: dict[str, pd.DataFrame], targets: list[str], resamples: int, seed: int) -> pd.DataFrame:
    """Every proxy of every run that the first run has, too, and that varies."""
    first = next(iter(runs.values()))
    infos = {info.name: info for info in list_proxies() if info.name in first.columns}
    rows = []
    for name, table in runs.items():
        price = (table[ELAPSED] / first[ELAPSED]).median() if ELAPSED in table and ELAPSED in first else None
        for proxy in [proxy for proxy in infos if proxy in table.columns and table[proxy].nunique() > 1]:
            agreement = table[proxy].corr(first[proxy], method="spearman")
            sign = 1 if infos[proxy].higher_is_better else -1
            for target in targets:
                found = bootstrapped(sign * table[proxy], sign * first[proxy], first[target], resamples, seed)
                facts = {"run": name, "proxy": proxy, "target": target}
                rows.append({**facts, **found, "agreement": agreement, "price": price})
    return pd.DataFrame(rows)


def named(word: str) -> tuple[str, Path]:
    """NAME=FILE in its two parts."""
    name, separator, path = word.partition("=")
    if not (name and separator and path):
        raise argparse.ArgumentTypeError(f"expected NAME=FILE, got {word!r}")
    return name, Path(path)


def main() -> None:
    """Read the command line, compare and write."""
    parser = argparse.ArgumentParser(description="The same proxies under other seeds, initialisations or options.")
    parser.add_argument("runs", nargs="+", type=named, metavar="NAME=FILE")
    parser.add_argument("--targets", required=True)
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    runs = {name: read_table(path) for name, path in options.runs}
    found = compared(runs, options.targets.split(","), options.resamples, options.seed)
    found.round(4).to_csv(options.out, index=False)
    wide = found.pivot_table(index="proxy", columns="run", values="spearman", sort=False)
    sys.stdout.write(f"mean of the targets\n{wide.round(3).to_string()}\n")


if __name__ == "__main__":
    main()
