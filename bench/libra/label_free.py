"""What proxies and combinations of them rank without labels, over all sizes and inside windows: `python -m
bench.libra.label_free SCORES.csv.gz... --targets COLUMN,... --window params:8% --out FILE.csv`.

SCORES.csv.gz is what `bench.libra.score_table` wrote, one or several spaces with the same targets. A row of the result
is one proxy, or one of `COMBINATIONS` by the sum of the logarithms of its ranks, in one space and for one target: its
Spearman correlation over all networks and inside windows of the parameters, each with its 95 % interval over resamples
of the networks. FILE.csv keeps the rows of other spaces. All that were tried are listed; a choice of the best of them
is a little flattering. The combinations follow one argument: a sum of ranks gains from proxies that look at different
things. For the table of the pages:

    R=bench/results/libra T=imagenet_inherited_top1 C=cifar10_test,cifar100_test,imagenet16_test
    python -m bench.libra.label_free $R/autoformer_{tiny,small}_scores.csv.gz --targets $T --out $R/label_free.csv \
      --resamples 200 --recommend zico,nwot
    python -m bench.libra.label_free $R/autoformer_base_scores.csv.gz --targets $T --resamples 200 \
      --out $R/label_free.csv
    python -m bench.libra.label_free $R/nasbench201_scores.csv.gz --targets $C --out $R/label_free.csv

--recommend writes what these proxies together were worth into the recommendation of the package for transformers.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import pandas as pd

from bench.correlation.combinations import AZ_NAS, pool
from lswag_fast import rank_aggregate
from lswag_fast.data.tables import numbers, read_table
from lswag_fast.evaluation.correlation import correlate
from lswag_fast.libra.ranking import oriented
from lswag_fast.libra.windows import ComparisonWindow

WINDOW = "params:8%"
RECOMMENDATIONS = Path("lswag_fast/libra/recommendations.json")
CAVEAT = (
    "on autoformer-base, where deeper networks have the worse inherited weights, they rank the wrong way inside windows"
)
COMBINATIONS: tuple[tuple[str, ...], ...] = (
    ("zico", "nwot"),
    ("zico", "swap"),
    ("zico", "lswag"),
    ("lswag", "nwot"),
    ("zico", "nwot", "lswag"),
    ("zico", "nwot", "params"),
    ("zico", "nwot", "synflow"),
    ("xi_gsnr", "nwot"),
    ("lswag", "params"),
    AZ_NAS,
    ("lswag", *AZ_NAS),
)


def measured(table: pd.DataFrame, target: str, window: ComparisonWindow, resamples: int) -> pd.DataFrame:
    """One row for each proxy and combination of a space, the best inside windows first."""
    names = pool(table)
    numeric = numbers(table, [target, *names])
    known = [members for members in COMBINATIONS if set(members) <= set(names)]
    sums = {" ".join(members): rank_aggregate(oriented(numeric, members)) for members in known}
    ways = [*names, *sums]
    found = correlate(numeric.assign(**sums), target, ways, window=window, n_bootstrap=resamples)
    ends = [f"{name}{end}" for name in ("spearman", "inside") for end in ("", "_low", "_high")]
    best_first = found.sort_values("inside", ascending=False)
    return best_first[[*ends, "n", "n_inside"]].assign(target=target, window=str(window)).rename_axis("proxies")


def recommend(found: pd.DataFrame, proxies: list[str], evidence: Path) -> None:
    """Write proxies and what they were worth into the recommendation of the package for transformers."""

    def figures(name: str) -> str:
        inside = found.xs(name, level="proxies")["inside"]
        return ", ".join(f"{value:.2f}".replace("0.", ".") for value in inside)

    counts = found.groupby("space", sort=False)["n"].max()
    where = ", ".join(f"{n} of {space.replace('_', '-')}" for space, n in counts.items())
    others = ", ".join(f"{name} alone {figures(name)}" for name in (*proxies, "lswag", "params"))
    tried = found.index.get_level_values("proxies").nunique()
    why = (
        f"among the best without labels of {tried} proxies and combinations on published networks ({where}): Spearman "
        f"{figures(' '.join(proxies))} inside windows of params +-8 % with the accuracy of inherited weights ({others})"
        f"; {CAVEAT}"
    )
    content = json.loads(RECOMMENDATIONS.read_text(encoding="utf-8"))
    content[-1] |= {"proxies": proxies, "why": why, "evidence": str(evidence)}
    RECOMMENDATIONS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def add(rows: pd.DataFrame, path: Path) -> None:
    """Write the rows of some spaces into the table of all, in place of older ones."""
    known = pd.read_csv(path) if path.exists() else rows.iloc[:0]
    others = known[~known["space"].isin(rows["space"])]
    pd.concat([others, rows.round(4)]).to_csv(path, index=False)


def main() -> None:
    """Read the command line, measure and write."""
    parser = argparse.ArgumentParser(description="What proxies and combinations rank without labels.")
    parser.add_argument("scores", nargs="+", type=Path)
    parser.add_argument("--targets", required=True)
    parser.add_argument("--window", type=ComparisonWindow.parse, default=WINDOW, help=f"(default: {WINDOW})")
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recommend", help="proxies that the package is to recommend for transformers")
    options = parser.parse_args()
    tables = {path.name.removesuffix("_scores.csv.gz"): read_table(path) for path in options.scores}
    parts = [
        measured(table, target, options.window, options.resamples).reset_index().assign(space=space)
        for space, table in tables.items()
        for target in options.targets.split(",")
    ]
    found = pd.concat(parts).set_index(["space", "target", "proxies"])
    add(found.reset_index(), options.out)
    if options.recommend is not None:
        recommend(found, options.recommend.split(","), options.out)
    sys.stdout.write(found["inside"].unstack(["space", "target"]).round(3).to_string() + "\n")


if __name__ == "__main__":
    main()
