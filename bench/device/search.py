"""Candidates per second that are drawn, built and scored on the device, and where the time of one goes.

A loop takes the place of a study, which needs more than torch and numpy.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import lswag_fast
from bench.device.place import Cell, arithmetic
from lswag_fast import data, spaces
from support.device import Device

N_TRIALS, BATCH = 20, 32
TINY_TRIALS, TINY_BATCH = 2, 8
SPACE, TINY_CASE = "autoformer-small", "two small blocks"
TINY_CHOICES = {"embed_dim": (16, 32), "depth": (1, 2), "num_heads": 1, "mlp_ratio": 1}


def cells(device: Device, tiny: bool) -> Iterator[Cell]:
    """A cell for each fidelity."""
    for fidelity in ("fast", "exact"):
        batch_size = TINY_BATCH if tiny else BATCH
        key = {"method": f"search_{fidelity}", "case": TINY_CASE if tiny else SPACE, "batch": batch_size}
        yield Cell({**key, "arithmetic": "float32"}, partial(measured, device, fidelity, tiny))


def measured(device: Device, fidelity: Any, tiny: bool) -> list[dict[str, Any]]:
    """Random candidates: how many per second from the second on, and the median seconds to build and score one."""
    space = spaces.AutoFormer(**TINY_CHOICES, image_size=8, patch_size=4, num_classes=10) if tiny else spaces.get(SPACE)
    n_trials, batch_size = (TINY_TRIALS, TINY_BATCH) if tiny else (N_TRIALS, BATCH)
    where = device.torch_device
    images, labels = data.load("digits", batch_size=batch_size, image_size=space.image_size, seed=0).batch
    batch = images.to(where), labels.to(where)
    weights = {name: tensor.to(where) for name, tensor in space.init_weights(0).items()}
    built, scored, ends = [], [], []
    rng = random.Random(0)
    with arithmetic("float32", device), device.active():
        for _ in range(n_trials):
            begin = time.perf_counter()
            model = space.build(space.sample(rng), weights).eval()
            built.append(time.perf_counter() - begin)
            lswag_fast.score(model, batch, fidelity=fidelity)
            ends.append(time.perf_counter())
            scored.append(ends[-1] - begin - built[-1])
    rate = (n_trials - 1) / (ends[-1] - ends[0])
    medians = {"build_s": statistics.median(built), "score_s": statistics.median(scored)}
    return [{"candidates_s": rate, **medians, "n": n_trials}]
