"""The columns of the paper's Table 1: `python -m bench.table1.columns COLUMN=scores.csv... --out FILE.csv`.

Each file is what `lswag-fast evaluate` or `bench.libra.score_table` wrote for the networks of that column. A row of the
result is one proxy of one column: Spearman, Kendall's tau-b, nDCG@10 and the overlap of the best 5 %, each with its
interval of 95 %, and what the paper has for it (Spearman on 1,000 networks). `az_nas` is the sum of the logarithms of
the ranks of its parts and of the MACs. Where the networks have an `embed_dim`, the mean Spearman inside windows of
+-8 % parameters and inside one embed_dim is there, too. The networks of a column that ends in -drawn are scored on
targets that were drawn, those of the others on real ones. docs/results/repeat.md has the commands of the scores.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from bench.correlation.runs import named
from lswag_fast.data.tables import read_table
from lswag_fast.evaluation import correlate
from lswag_fast.libra.ranking import rank_aggregate
from lswag_fast.libra.windows import ComparisonWindow
from lswag_fast.proxies import get_proxy

PROXIES = ("lswag", "az_nas", "zico", "nwot", "swap", "xi_gsnr", "params")
MEASURES = ("spearman", "kendall", "ndcg10", "top5")
INSIDE = {"inside_params": ComparisonWindow("params", 0.08), "inside_embed_dim": ComparisonWindow("embed_dim")}


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        title: In words.
        target: The column of the accuracies.
        published: What the paper has, by proxy: `lswag` of its Table 3 where that names the column, else of the row
            "ALL" of Table 5; `az_nas` of Table 1.
    """

    title: str
    target: str
    published: dict[str, float] = field(default_factory=dict)


COLUMNS = {
    "nb201-cifar10": Column("NAS-Bench-201, CIFAR-10", "cifar10_test", {"lswag": 0.79, "az_nas": 0.91}),
    "nb201-cifar100": Column("NAS-Bench-201, CIFAR-100", "cifar100_test", {"lswag": 0.83, "az_nas": 0.90}),
    "nb201-imagenet16": Column("NAS-Bench-201, ImageNet16-120", "imagenet16_test", {"lswag": 0.80, "az_nas": 0.89}),
    "nb101": Column("NAS-Bench-101, CIFAR-10", "cifar10_test", {"lswag": 0.651, "az_nas": 0.54}),
    "darts": Column("DARTS, CIFAR-10", "cifar10_acc", {"lswag": 0.550, "az_nas": 0.70}),
    "micro-object": Column("TransNAS micro, objects", "class_object", {"lswag": 0.480, "az_nas": 0.58}),
    "micro-scene": Column("TransNAS micro, scenes", "class_scene", {"lswag": 0.680, "az_nas": 0.79}),
    "micro-autoencoder": Column("TransNAS micro, autoencoder", "autoencoder", {"lswag": 0.310, "az_nas": 0.31}),
    "micro-jigsaw": Column("TransNAS micro, jigsaw", "jigsaw", {"lswag": 0.580, "az_nas": 0.41}),
    "micro-room-drawn": Column("TransNAS micro, room layout", "room_layout", {"lswag": 0.330, "az_nas": 0.53}),
    "micro-segments-drawn": Column("TransNAS micro, segments", "segmentsemantic", {"lswag": 0.700, "az_nas": 0.72}),
    "micro-normal-drawn": Column("TransNAS micro, surface normals", "normal", {"lswag": 0.750, "az_nas": 0.60}),
    "macro-object": Column("TransNAS macro, objects", "class_object", {"lswag": 0.860, "az_nas": 0.90}),
    "macro-scene": Column("TransNAS macro, scenes", "class_scene", {"lswag": 0.780, "az_nas": 0.82}),
    "macro-autoencoder": Column("TransNAS macro, autoencoder", "autoencoder", {"lswag": 0.790, "az_nas": 0.52}),
    "macro-jigsaw": Column("TransNAS macro, jigsaw", "jigsaw", {"lswag": 0.780, "az_nas": 0.77}),
    "macro-room-drawn": Column("TransNAS macro, room layout", "room_layout", {"lswag": 0.627, "az_nas": 0.65}),
    "macro-segments-drawn": Column("TransNAS macro, segments", "segmentsemantic", {"lswag": 0.780, "az_nas": 0.77}),
    "macro-normal-drawn": Column("TransNAS macro, surface normals", "normal", {"lswag": 0.840, "az_nas": 0.85}),
    "autoformer-tiny": Column("Autoformer-Tiny, inherited ImageNet", "imagenet_inherited_top1"),
    "autoformer-small": Column("Autoformer-Small, inherited ImageNet", "imagenet_inherited_top1"),
    "autoformer-base": Column("Autoformer-Base, inherited ImageNet", "imagenet_inherited_top1"),
}


def with_az_nas(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores with those of AZ-NAS, where all its parts are there."""
    parts = list(get_proxy("az_nas").parts)
    return scores.assign(az_nas=rank_aggregate(scores[parts])) if set(parts) <= set(scores.columns) else scores


def measured(name: str, scores: pd.DataFrame, resamples: int, seed: int) -> list[dict[str, object]]:
    """A row for each proxy that the file of a column has."""
    column, scores = COLUMNS[name], with_az_nas(scores)
    proxies = [proxy for proxy in PROXIES if proxy in scores.columns]
    found = correlate(scores, column.target, proxies, n_bootstrap=resamples, seed=seed)
    for key, window in INSIDE.items():
        inside = pd.Series(float("nan"), index=found.index)
        if "embed_dim" in scores.columns:
            inside = correlate(scores, column.target, proxies, window=window, n_bootstrap=0)["inside"]
        found[key] = inside
    return [
        {"column": name, "proxy": proxy, **row, "published": column.published.get(str(proxy), float("nan"))}
        for proxy, row in found.iterrows()
    ]


def main() -> None:
    """Read the command line, measure and write."""
    parser = argparse.ArgumentParser(description="The columns of the paper's Table 1.")
    parser.add_argument("scores", nargs="+", type=named, metavar="COLUMN=FILE", help=f"one of {', '.join(COLUMNS)}")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    unknown = [name for name, _ in options.scores if name not in COLUMNS]
    if unknown:
        parser.error(f"there is no column {unknown[0]}; there are {', '.join(COLUMNS)}")
    files = [(name, _read(path)) for name, path in options.scores]
    rows = [row for name, scores in files for row in measured(name, scores, options.resamples, options.seed)]
    found = pd.DataFrame(rows)
    found.round(4).to_csv(options.out, index=False)
    sys.stdout.write(f"{found[['column', 'proxy', *MEASURES, 'n', 'published']].round(3).to_string(index=False)}\n")


def _read(path: Path) -> pd.DataFrame:
    key = "arch" if "arch" in pd.read_csv(path, nrows=0).columns else "genotype"
    return read_table(path, key=key)


if __name__ == "__main__":
    main()
