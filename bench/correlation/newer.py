"""The newer proxies of NAS-Bench-201 beside others on the same cells: `python -m bench.correlation.newer scores.csv...
--targets COLUMN,... --out FILE.csv`.

Each file is what `lswag-fast evaluate` wrote for some of the 200 cells of the packaged scores, from which the columns
that it lacks are taken: those of `BESIDE`, and the parts of `vkdnw_agg`, which is ranked among the cells of its file.
The result has a row for each proxy and target, as `lswag-fast correlate` writes them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lswag_fast import list_proxies, rank_aggregate
from lswag_fast.data.tables import read_table
from lswag_fast.evaluation.correlation import correlate
from lswag_fast.libra.ranking import oriented
from lswag_fast.proxies import get_proxy

PACKAGED = Path(__file__).parents[1] / "results/libra/nasbench201_scores.csv.gz"
BESIDE = ("params", "lswag")
RANKED = "vkdnw_agg"


def correlations(scores: pd.DataFrame, packaged: pd.DataFrame, targets: Sequence[str]) -> pd.DataFrame:
    """The proxies of one file, and with their parts also the ranked one, against each target."""
    table = scores.join(packaged[[name for name in packaged if name not in scores]], how="inner")
    known = {info.name for info in list_proxies()}
    names = list(dict.fromkeys([name for name in scores if name in known] + list(BESIDE)))
    parts = list(get_proxy(RANKED).parts)
    if set(parts) <= set(table):
        table[RANKED] = rank_aggregate(oriented(table, parts), "log_rank")
        names.append(RANKED)
    found = [correlate(table, target, names).reset_index().assign(target=target) for target in targets]
    return pd.concat(found)


def main() -> None:
    """Read the command line, correlate and write."""
    parser = argparse.ArgumentParser(description="The newer proxies of NAS-Bench-201 beside others on the same cells.")
    parser.add_argument("scores", nargs="+", type=Path)
    parser.add_argument("--targets", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    packaged, targets = read_table(PACKAGED), options.targets.split(",")
    found = pd.concat([correlations(read_table(path), packaged, targets) for path in options.scores])
    found.drop_duplicates(["proxy", "target"]).round(4).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
