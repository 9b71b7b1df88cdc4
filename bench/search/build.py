"""What a candidate costs before its score: `python -m bench.search.build --out bench/results/search/build.csv`.

A row is one named space at its published sizes: milliseconds of one core for drawing an architecture, writing it as
text and counting its parameters, and for building a network, the median and the ninth decile of seeded random
architectures: with fresh weights, or cut out of shared ones where the space has them. Of the building, the part that
goes into drawing random numbers is what it takes less when each draw gives zeros; both are measured in turn on the same
architectures. Times are those of the processor, so that other work on the machine counts for little.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

from bench.csv_file import append, rows_of
from bench.machine import machine_columns
from lswag_fast import spaces
from lswag_fast.spaces import SearchSpace
from lswag_fast.spaces.building import network_builder

WHERE = ("cpu", "cores", "isa", "threads", "torch", "lswag_fast", "compiler", "python", "date")
COLUMNS = ("space", "choose_ms", "build_ms", "build_p90_ms", "draws_ms", "params_m", "modules", "n", *WHERE)
N_CHOSEN = 1000
"""Architectures whose choosing is timed together."""


@contextmanager
def zeros_drawn() -> Iterator[None]:
    """Random numbers are asked for, and are zeros."""

    def zeros(tensor: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        return tensor.zero_()

    with patch.object(torch.Tensor, "uniform_", zeros), patch.object(torch.Tensor, "normal_", zeros):
        yield


def choosing_ms(space: SearchSpace, rng: random.Random) -> float:
    """Milliseconds of one architecture: drawn, written, counted."""
    begin = time.process_time()
    for _ in range(N_CHOSEN):
        arch = space.sample(rng)
        space.encode(arch)
        space.n_params(arch)
    return (time.process_time() - begin) * 1e3 / N_CHOSEN


def building_ms(build: Callable[[Any], nn.Module], arch: Any) -> tuple[float, nn.Module]:
    """Milliseconds of one network, and the network."""
    begin = time.process_time()
    network = build(arch)
    return (time.process_time() - begin) * 1e3, network


def row_of(name: str, n: int, seed: int) -> dict[str, Any]:
    """Measure one space."""
    space, rng = spaces.get(name), random.Random(seed)
    build = network_builder(space)
    archs = [space.sample(rng) for _ in range(n)]
    build(archs[0])
    whole, undrawn, modules = [], [], []
    for arch in archs:
        spent, network = building_ms(build, arch)
        whole.append(spent)
        modules.append(sum(1 for _ in network.modules()))
        with zeros_drawn():
            undrawn.append(building_ms(build, arch)[0])
    return {
        "space": name,
        "choose_ms": round(choosing_ms(space, rng), 4),
        "build_ms": round(median(whole), 2),
        "build_p90_ms": round(quantiles(whole, n=10)[-1], 2),
        "draws_ms": round(median(with_ - without for with_, without in zip(whole, undrawn, strict=True)), 2),
        "params_m": round(median(map(space.n_params, archs)) / 1e6, 2),
        "modules": int(median(modules)),
        "n": n,
        **machine_columns(),
        "date": date.today().isoformat(),
    }


def main() -> None:
    """Measure each space that the file does not hold yet."""
    parser = argparse.ArgumentParser(description="What a candidate of each space costs before its score.")
    parser.add_argument("--out", type=Path, required=True, help="the CSV file, new or to be continued")
    parser.add_argument("--spaces", default=",".join(spaces.names()), help="names (default: all)")
    parser.add_argument("--n", type=int, default=30, help="networks of each (default: 30)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    known = {row["space"] for row in rows_of(options.out)}
    for name in options.spaces.split(","):
        if name not in known:
            row = row_of(name, options.n, options.seed)
            append(options.out, COLUMNS, row)
            sys.stdout.write(f"{name}: {row['choose_ms']:.3f} ms, {row['build_ms']:.1f} ms to build\n")


if __name__ == "__main__":
    main()
