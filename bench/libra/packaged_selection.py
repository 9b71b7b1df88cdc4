"""The selections that are packaged, one a space: `python -m bench.libra.packaged_selection SCORES.csv.gz --space SPACE
--target COLUMN [--proxies NAME,...] [--window params:8%] [--rule weights] [--keep]`.

SCORES.csv.gz is what `bench.libra.score_table` wrote, with its .json beside it. The rule is fitted to all of its
networks, and what the rule selects on random halves is judged on the other halves, beside the members, the one
proxy that ranks the fitted half best, and the parameters. Several targets are made one by the mean of a network's
ranks in them, since their spreads differ. A row of bench/results/libra/packaged.csv is one of these figures. With
--keep the packaged proxies stay as they are, where a new choice is no better, and only their figures are those of
SCORES.csv.gz. All that are packaged:

    R=bench/results/libra T="--target imagenet_inherited_top1 --halves 20 --window params:8%"
    P=lswag,zico,nwot,swap,params,flops,l2_norm,params_early,params_middle,params_late
    for s in tiny small base; do
      python -m bench.libra.packaged_selection $R/autoformer_${s}_scores.csv.gz --space autoformer-$s $T --proxies $P
    done
    python -m bench.libra.packaged_selection $R/nasbench201_scores.csv.gz --space nasbench201 --halves 20 --keep \
      --target cifar10_test,cifar100_test,imagenet16_test
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from bench.correlation.combinations import pool
from bench.correlation.libra_subsets import with_target
from lswag_fast import Libra, LswagWarning
from lswag_fast.data.tables import read_table
from lswag_fast.libra.held_out import N_HALVES, HeldOut, held_out
from lswag_fast.libra.stored import read_selection
from lswag_fast.libra.windows import ComparisonWindow

FOLDER = Path("lswag_fast/libra/selections")
FIGURES = Path("bench/results/libra/packaged.csv")
INHERITED = (
    "OoD-ViT-NAS (NeurIPS 2024; github.com/vovantuan1999a/OoD-ViT-NAS, architecture_infors, commit 037c8e0): ImageNet "
    "top-1 with weights inherited from the official supernet, not trained further"
)
ACCURACIES = {
    "autoformer-tiny": INHERITED,
    "autoformer-small": INHERITED,
    "autoformer-base": INHERITED,
    "nasbench201": "NAS-Bench-201 (ICLR 2020; NATS-Bench's topology set): mean test accuracies of the 200-epoch runs",
}
"""By whom and how the networks were trained."""


def packaged(
    libra: Libra, found: HeldOut, spaces: list[str], targets: list[str], scores: dict[str, Any]
) -> dict[str, Any]:
    """What `Libra.to_dict` gives, with its held-out figures, its space and where its numbers come from."""
    content = libra.to_dict()
    provenance = {"space": spaces[0], "accuracies": ACCURACIES[spaces[0]], "targets": targets, "scores": scores}
    fitted_on = {**content["fitted_on"], **provenance}
    return {**content, "spaces": spaces, "fitted_on": fitted_on, "held_out": asdict(found)}


def figures(found: HeldOut, space: str, selection: Sequence[str]) -> pd.DataFrame:
    """What the rule's choices, the selection of all networks, its parts and the parameters were worth on the halves."""
    fixed = {} if found.members is None else {" ".join(selection): found.members}
    ways = {"rule": found.selection, "best_member": found.best_alone, **fixed, **found.alone}
    rows = pd.DataFrame([{"space": space, "way": way, **asdict(figure)} for way, figure in ways.items()])
    return rows.assign(inside=found.inside, n_rows=found.n_rows, n_halves=found.n_halves)


def add_figures(rows: pd.DataFrame, path: Path) -> None:
    """Write them into the table of all spaces, in place of older ones of the space."""
    known = pd.read_csv(path, keep_default_na=False) if path.exists() else rows.iloc[:0]
    others = known[known["space"] != rows["space"].iloc[0]]
    pd.concat([others, rows]).sort_values("space", kind="stable").to_csv(path, index=False)


def with_figures(path: Path, found: HeldOut) -> dict[str, Any]:
    """A packaged selection as it is, with other held-out figures."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {**content, "held_out": asdict(found)}


def main() -> None:
    """Read the command line, fit, judge and write."""
    parser = argparse.ArgumentParser(description="The packaged selection of a space.")
    parser.add_argument("scores", type=Path)
    text = "the first is that of the networks, others are served by it too"
    parser.add_argument("--space", required=True, nargs="+", choices=ACCURACIES, help=text)
    parser.add_argument("--target", required=True)
    parser.add_argument("--proxies", help="what the rule chooses among (default: all of the table)")
    parser.add_argument("--window", type=ComparisonWindow.parse)
    parser.add_argument("--rule", choices=("halves", "weights"), default="weights")
    parser.add_argument("--halves", type=int, default=N_HALVES)
    parser.add_argument("--keep", action="store_true", help="the packaged proxies stay, with the figures of this table")
    parser.add_argument("--out", type=Path, help="(default: the file of the package)")
    options = parser.parse_args()
    warnings.simplefilter("ignore", LswagWarning)
    targets = options.target.split(",")
    table, target = with_target(read_table(options.scores), targets)
    beside = options.scores.with_name(options.scores.name.removesuffix(".csv.gz") + ".json")
    scores = json.loads(beside.read_text(encoding="utf-8"))
    known = scores.pop("proxies")
    names = pool(table, options.proxies.split(",") if options.proxies else known)
    libra = Libra(rule=options.rule).fit(table, target, "params", names, options.window)
    packaged_file = FOLDER / f"{options.space[0]}.json"
    kept = read_selection(packaged_file) if options.keep else None
    selection = libra.selection if kept is None else kept.proxies
    members = kept and dict(zip(kept.proxies, kept.weights or [1.0] * len(kept.proxies), strict=True))
    found = held_out(libra, table, target, "params", names, options.window, n_halves=options.halves, members=members)
    content = with_figures(packaged_file, found) if kept else packaged(libra, found, options.space, targets, scores)
    out = options.out or packaged_file
    out.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    rows = figures(found, options.space[0], selection)
    if options.out is None:
        add_figures(rows, FIGURES)
    sys.stdout.write(f"{rows.to_string(index=False)}\n{out}\n")


if __name__ == "__main__":
    main()
