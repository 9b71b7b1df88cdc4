"""What a supernet's step costs beyond that of the network alone: `python -m bench.training.step_overhead --out FILE`.

In turn, for one drawn network after the other: a training step of the stand-alone network with an optimiser of its own,
and a step of the supernet that draws it. Both are forward, backward and AdamW; building the stand-alone network is not
timed, cutting the network out of the supernet is, since each step does it. The times are those of the processor, on one
thread, which other work on the machine changes least.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.csv_file import append
from bench.machine import machine_columns
from lswag_fast.spaces import AutoFormer
from lswag_fast.training.recipe import RECIPES, parameter_groups
from lswag_fast.training.supernet import Supernet

SPACES = {
    "64 to 128 wide, 2 to 4 blocks, 17 tokens": (
        {"embed_dim": (64, 96, 128), "depth": (2, 3, 4), "num_heads": (1, 2), "mlp_ratio": (1, 2)},
        {"image_size": 8, "patch_size": 2, "num_classes": 10},
    ),
    "64 to 192 wide, 2 to 6 blocks, 65 tokens": (
        {"embed_dim": (64, 128, 192), "depth": (2, 4, 6), "num_heads": (1, 2, 3), "mlp_ratio": (2, 4)},
        {"image_size": 32, "patch_size": 4, "num_classes": 10},
    ),
}
COLUMNS = ("space", "batch", "n_pairs", "alone_ms", "supernet_ms", "ratio", "ratio_low", "ratio_high", "date")


def stepper(module: nn.Module, labels: Tensor) -> Callable[..., float]:
    """Return a function that makes a training step of a module and returns its seconds of the processor."""
    recipe = RECIPES["short"]
    optimizer = torch.optim.AdamW(parameter_groups(module, recipe), lr=recipe.lr, fused=True)

    def step(*inputs: Any) -> float:
        begin = time.process_time()
        optimizer.zero_grad()
        functional.cross_entropy(module(*inputs), labels).backward()
        optimizer.step()
        return time.process_time() - begin

    return step


def measured(space: AutoFormer, batch: int, n_pairs: int) -> list[tuple[float, float]]:
    """Seconds of the step alone and of the supernet's, for each of the networks drawn."""
    generator, rng = torch.Generator().manual_seed(0), random.Random(0)
    images = torch.randn(batch, *space.input_shape, generator=generator)
    labels = torch.randint(space.num_classes, (batch,), generator=generator)
    supernet_step = stepper(Supernet(space, space.init_weights(0)), labels)
    supernet_step(images, space.extremes()[1:])  # makes the optimiser's memory
    pairs = []
    for _ in range(n_pairs):
        arch = space.sample(rng)
        alone_step = stepper(space.build(arch), labels)
        alone_step(images)
        supernet_step(images, [arch])
        pairs.append((alone_step(images), supernet_step(images, [arch])))
    return pairs


def main() -> None:
    """Measure and write a row for each space."""
    parser = argparse.ArgumentParser(description="Seconds of a supernet's step over those of the network alone.")
    parser.add_argument("--out", type=Path, required=True, help="the CSV file, which is replaced")
    parser.add_argument("--pairs", type=int, default=100, help="networks of each space (default: 100)")
    parser.add_argument("--batch", type=int, default=64, help="images in a step (default: 64)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.unlink(missing_ok=True)
    machine = machine_columns()
    for name, (choices, sizes) in SPACES.items():
        pairs = measured(AutoFormer(**choices, **sizes), options.batch, options.pairs)
        low, middle, high = quantiles((supernet / alone for alone, supernet in pairs), n=4)
        row = {
            "space": name,
            "batch": options.batch,
            "n_pairs": len(pairs),
            "alone_ms": median(alone for alone, _ in pairs) * 1e3,
            "supernet_ms": median(supernet for _, supernet in pairs) * 1e3,
            "ratio": middle,
            "ratio_low": low,
            "ratio_high": high,
            "date": date.today().isoformat(),
            **machine,
        }
        append(options.out, [*COLUMNS, *machine], row)


if __name__ == "__main__":
    main()
