"""The scores of the networks of a table with their published accuracies, small enough to be kept: `python -m
bench.libra.score_table SCORES.csv TABLE --targets COLUMN,... --data WORDS --out NAME.csv.gz`.

SCORES.csv is what `bench.correlation.layer_numbers` or `lswag-fast evaluate` wrote, TABLE the published accuracies. The
result has one row per network: arch, the targets and the other columns of TABLE in --keep, and every proxy; the numbers
of the layers are left out, and lswag, swap and reg_swap are those at the number of pattern samples that "auto" takes,
the same for all networks. `lswag-fast correlate` and `lswag-fast libra` read it as it is. NAME.json beside it says how
the scores came about. For the tables in bench/results/libra, with FOLDER for where the scores lie and DATA as in the
README:

    I=DATA/autoformer_inherited W="imagenet_samples_224_jpeg.npz, 32 of 1000 images"
    for s in tiny small base; do
      python -m bench.libra.score_table FOLDER/autoformer-$s/base.csv $I/autoformer_${s}_501.csv.gz \
        --targets imagenet_inherited_top1 --keep embed_dim,flops_m --data "$W" \
        --out bench/results/libra/autoformer_${s}_scores.csv.gz
    done
    python -m bench.libra.score_table FOLDER/nb201.csv DATA/nasbench201/nb201_accuracy.csv.gz \
      --targets cifar10_test,cifar100_test,imagenet16_test --out bench/results/libra/nasbench201_scores.csv.gz

--known continues a table that was made so: its networks are kept, SCORES.csv has others, and the settings of both have
to be the same. `bench.correlation.layer_numbers` with the same --known leaves its networks out:

    K="--known bench/results/libra/autoformer_tiny_scores.csv.gz"
    P=lswag,zico,xi_gsnr,snip,grad_norm,fisher,plain,l2_norm,nwot,swap,reg_swap,params,flops,dss,synflow,logsynflow
    python -m bench.correlation.layer_numbers autoformer-tiny --table $I/autoformer_tiny_501.csv.gz $K --proxies $P \
      --data DATA/images/imagenet_samples_224_jpeg.npz --settings base --out FOLDER/autoformer-tiny
    python -m bench.libra.score_table FOLDER/autoformer-tiny/base.csv $I/autoformer_tiny_501.csv.gz $K \
      --targets imagenet_inherited_top1 --keep embed_dim,flops_m --data "$W" \
      --out bench/results/libra/autoformer_tiny_scores.csv.gz
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.correlation.ablations import Cells, read_cells, value
from bench.correlation.layer_numbers import LISTENER_NAME, common_samples
from lswag_fast.data.tables import read_table

NUMBERS = "numbers"
"""The column of the numbers of the layers."""

DIGITS = 10
"""Significant digits of a score that are kept."""


def combined(scores: pd.DataFrame, table: pd.DataFrame, columns: list[str], proxies: list[str]) -> pd.DataFrame:
    """The networks that were scored, in the order of the table."""
    return table.loc[table.index.isin(scores.index), columns].join(scores[proxies])


def recounted(scores: pd.DataFrame, cells: Cells, samples: int) -> pd.DataFrame:
    """The scores with those that count patterns at another number of samples than the pass that left them.

    Raises:
        ValueError: L-SWAG's score, made again from the numbers of the layers, is not what the pass gave.
    """
    most = {arch: max(map(int, cell["union"])) for arch, cell in cells.items()}
    again = pd.Series({arch: value(cell, samples=most[arch]) for arch, cell in cells.items()})
    known = scores.loc[again.index, "lswag"]
    if not np.allclose(again, known, rtol=1e-9, atol=0):
        raise ValueError("the numbers of the layers do not give the scores beside them")
    union = pd.DataFrame({arch: [cell["union"][str(s)] for s in (most[arch], samples)] for arch, cell in cells.items()})
    before, after = union.loc[0], union.loc[1]
    return scores.loc[again.index].assign(
        lswag=pd.Series({arch: value(cell, samples=samples) for arch, cell in cells.items()}),
        swap=after.astype(float),
        reg_swap=lambda rows: rows["reg_swap"] + np.log(after / before),  # ln of swap, less what the size costs
    )


def provenance(settings: dict[str, Any], scored: int, table: pd.DataFrame, words: str) -> dict[str, Any]:
    """How the scores came about, without where their files lay."""
    found = {key: value for key, value in settings.items() if key != "proxies"}
    if words or "data" in found:
        found["data"] = words or found["data"].rpartition("/")[2]
    return {**found, "n": scored, "n_table": len(table)}


def continued(known: pd.DataFrame, found: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The networks of both, in the order of the table.

    Raises:
        ValueError: a network is in both, or their columns differ.
    """
    twice = known.index.intersection(found.index)
    if len(twice):
        raise ValueError(f"{len(twice)} networks are in both tables, such as {twice[0]!r}")
    if list(known.columns) != list(found.columns):
        raise ValueError(f"the columns differ: {', '.join(known.columns)} and {', '.join(found.columns)}")
    both = pd.concat([known, found])
    return both.loc[table.index[table.index.isin(both.index)]]


def check_settings(known: dict[str, Any], facts: dict[str, Any]) -> None:
    """Refuse scores that came about in another way than those of a table (ValueError)."""
    for key in sorted({*known, *facts} - {"n"}):
        if known.get(key) != facts.get(key):
            raise ValueError(f"{key} differs: {known.get(key)!r} in the known table, {facts.get(key)!r} in the scores")


def beside(table: Path) -> Path:
    """The file that says how the scores of a table came about."""
    return table.with_name(table.name.removesuffix(".csv.gz") + ".json")


def settings_of(scores: Path) -> dict[str, Any]:
    """The settings that lie beside a file of scores."""
    content: dict[str, Any] = json.loads(scores.with_name(scores.name + ".json").read_text(encoding="utf-8"))
    return content


def main() -> None:
    """Read the command line, join and write."""
    parser = argparse.ArgumentParser(description="Scores and published accuracies as one table.")
    parser.add_argument("scores", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--targets", required=True)
    parser.add_argument("--keep", default="", help="other columns of TABLE")
    parser.add_argument("--data", default="", help="the images, where the settings of SCORES do not name them")
    parser.add_argument("--key", default="arch", help="the column that names the networks, arch in the result")
    parser.add_argument("--known", type=Path, help="a table that the scores are added to; ends in .csv.gz")
    parser.add_argument("--out", type=Path, required=True, help="ends in .csv.gz")
    options = parser.parse_args()
    settings = settings_of(options.scores)
    table, scores = (read_table(path, options.key).rename_axis("arch") for path in (options.table, options.scores))
    known = None if options.known is None else json.loads(beside(options.known).read_text(encoding="utf-8"))
    counted: dict[str, Any] = {}
    if NUMBERS in scores.columns:
        cells = read_cells(options.scores)
        # never more than "auto" reaches; fewer only where the known table has fewer
        samples = common_samples(cells.values())
        counted = {"pattern_samples": samples if known is None else min(samples, known["pattern_samples"])}
        scores = recounted(scores, cells, counted["pattern_samples"])
    proxies = [name for name in settings["proxies"] if name != LISTENER_NAME]
    columns = [name for name in (*options.targets.split(","), *options.keep.split(",")) if name]
    found = combined(scores, table, columns, proxies)
    facts = (
        provenance(settings, len(found), table, options.data)
        | counted
        | {"table": options.table.name, "proxies": proxies}
    )
    if known is not None:
        check_settings(known, facts)
        found = continued(read_table(options.known), found, table)
        facts["n"] = len(found)
    # without the time of writing, so that the same scores are the same file
    found.to_csv(options.out, float_format=f"%.{DIGITS}g", compression={"method": "gzip", "mtime": 0})
    beside(options.out).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(found)} of {len(table)} networks: {options.out}\n")


if __name__ == "__main__":
    main()
