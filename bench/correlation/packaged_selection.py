"""The selection that is packaged for the Autoformer spaces: `python -m bench.correlation.packaged_selection scores.csv
--out lswag_fast/libra/selections/autoformer.json`.

scores.csv is what `lswag-fast evaluate autoformer-tiny` wrote for the table of `bench.correlation.autoformer_table`.
The target is the mean of a network's ranks in the three accuracies after training with distillation: their
spreads differ by ten times, so that a mean of accuracies would be that of Flowers alone.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from lswag_fast import Libra, LswagWarning
from lswag_fast.data.tables import numbers, read_table

TARGETS = ("c100_kd_acc", "flower_kd_acc", "chaoyang_kd_acc")
MEAN_RANK = "mean_rank_kd"
SPACES = ("autoformer-tiny", "autoformer-small", "autoformer-base")
ACCURACIES = (
    "ViT-Bench-101 part A (Auto-Prox, AAAI 2024; github.com/lilujunai/Auto-Prox-AAAI24, gt_results, commit 90ed458): "
    "300 epochs with a CNN teacher on CIFAR-100, Flowers-102 and Chaoyang, one run a network"
)


def mean_rank(table: pd.DataFrame, targets: tuple[str, ...] = TARGETS) -> pd.Series:
    """The mean over the targets of a network's rank / n, the best being 1."""
    return numbers(table, targets).rank(pct=True).mean(axis=1)


def packaged(libra: Libra, settings: dict[str, Any]) -> dict[str, Any]:
    """What `Libra.to_dict` gives, with the spaces that it serves and where its numbers come from."""
    content = libra.to_dict()
    provenance = {
        "space": "autoformer-tiny, 224 px, 1,000 classes",
        "accuracies": ACCURACIES,
        "targets": list(TARGETS),
        "scores": settings,
    }
    return {**content, "spaces": list(SPACES), "fitted_on": {**content["fitted_on"], **provenance}}


def main() -> None:
    """Read the command line, fit and write."""
    parser = argparse.ArgumentParser(description="The packaged selection of the Autoformer spaces.")
    parser.add_argument("scores", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    warnings.simplefilter("ignore", LswagWarning)
    table = read_table(options.scores)
    table[MEAN_RANK] = mean_rank(table)
    settings = json.loads(options.scores.with_name(options.scores.name + ".json").read_text(encoding="utf-8"))
    kept = {name: settings[name] for name in ("mode", "initialisation", "seed", "options")}
    kept["data"] = settings["data"].rpartition("/")[2]  # the file, not where it lay
    libra = Libra().fit(table, MEAN_RANK)
    content = packaged(libra, kept)
    options.out.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
