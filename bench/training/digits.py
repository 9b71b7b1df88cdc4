"""How accurate a small network gets on the digits by the default recipe: `python -m bench.training.digits --out FILE`.

`lswag-fast train` with nothing but its defaults trains a vision transformer of five tokens once per seed, which decides
the split of the images, their order and the initial weights. A row per seed: the test images that are told right, with
Wilson's interval, and the processor's seconds for the whole command, on one thread. Run again, it adds the seeds that
are missing.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import torch

from bench.csv_file import append, rows_of
from bench.machine import machine_columns
from lswag_fast.cli import main as lswag_fast
from lswag_fast.spaces import AutoFormer

COLUMNS = (
    "seed", "n_params", "epochs", "correct", "n_images", "test_accuracy", "test_low", "test_high", "processor_s",
    "date",
)  # fmt: skip
ARCH: dict[str, Any] = {"embed_dim": 64, "depth": 3, "num_heads": [2, 2, 2], "mlp_ratio": [2, 2, 2]}


def space() -> AutoFormer:
    """Return the space of the one network.

    Example:
        >>> space().n_params(ARCH)
        177482
    """
    return AutoFormer(embed_dim=64, depth=3, num_heads=2, mlp_ratio=2, image_size=8, patch_size=4, num_classes=10)


def trained(seed: int, *options: str) -> dict[str, Any]:
    """Train the network with the default recipe, which further options of the command change; return its row."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "digits")
        words = ["train", f"bench.training.digits:space:{json.dumps(ARCH)}", "--data", "digits", "--device", "cpu"]
        begin = time.process_time()
        code = lswag_fast([*words, "--threads", "1", "--seed", str(seed), "--out", str(folder), *options])
        processor_s = time.process_time() - begin
        if code:
            raise SystemExit(code)
        result = json.loads((folder / "result.json").read_text())["test"]
        settings = json.loads((folder / "settings.json").read_text())
    low, high = result["interval"]
    return {
        "seed": seed,
        "n_params": space().n_params(ARCH),
        "epochs": settings["recipe"]["epochs"],
        "correct": result["correct"],
        "n_images": result["n"],
        "test_accuracy": result["accuracy"],
        "test_low": low,
        "test_high": high,
        "processor_s": processor_s,
    }


def main() -> None:
    """Train with the seeds that are missing, and append a row for each."""
    parser = argparse.ArgumentParser(description="Test accuracy on the digits by the default recipe.")
    parser.add_argument("--out", type=Path, required=True, help="the CSV file, new or to continue")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="(default: 3)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    machine = machine_columns()
    done = {int(row["seed"]) for row in rows_of(options.out)}
    for seed in sorted(set(range(options.seeds)) - done):
        append(options.out, [*COLUMNS, *machine], {**trained(seed), "date": date.today().isoformat(), **machine})


if __name__ == "__main__":
    main()
