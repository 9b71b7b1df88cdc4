"""The whole score on a device, in turn with a plain forward and backward pass.

A score may be taken under autocast, like the plain pass, or ask for bfloat16 itself: `score_bfloat16`, whose ratio is
to a plain pass in float32.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from bench.device.place import ARITHMETICS, Cell, arithmetic, peak_mb, seconds, summary
from bench.score.methods import Maker, plain, score
from bench.score.networks import ALL_SETTINGS
from lswag_fast import kernels
from support.device import Device

NETWORKS, TINY_NETWORKS = ("autoformer_s", "resnet50", "nasbench201_like"), ("autoformer_toy",)
BATCHES, TINY_BATCHES = (32, 128), (4,)
METHODS: dict[str, Maker] = {"plain": plain, "score": score, "score_fast": partial(score, fidelity="fast")}
IN_BFLOAT16: dict[str, Maker] = {"score_bfloat16": partial(score, precision="bfloat16")}
N_WARMUPS, N_ROUNDS = 1, 7  # the libraries choose their algorithms in the first calls


def cells(device: Device, tiny: bool) -> Iterator[Cell]:
    """A cell for each network, batch size and arithmetic."""
    for network in TINY_NETWORKS if tiny else NETWORKS:
        for batch_size in TINY_BATCHES if tiny else BATCHES:
            for name in ARITHMETICS:
                key = {"case": network, "batch": batch_size, "arithmetic": name}
                yield Cell(key, partial(measured, device, network, batch_size, name, tiny))


def methods(device: Device, arithmetic_name: str) -> dict[str, Maker]:
    """What is measured; the emulator has the products of bfloat16 that the CPU has."""
    has_bfloat16 = not device.emulated or kernels.bfloat16_problem() is None
    return METHODS | (IN_BFLOAT16 if arithmetic_name == "float32" and has_bfloat16 else {})


def measured(device: Device, network: str, batch_size: int, arithmetic_name: str, tiny: bool) -> list[dict[str, Any]]:
    """A row for each method: its times, its ratio to the plain pass of the same round, and its memory."""
    with arithmetic(arithmetic_name, device), device.active():
        setting = ALL_SETTINGS[network]
        model = setting.build().to(device.torch_device)
        images, labels = (tensor.to(device.torch_device) for tensor in setting.batch(batch_size))
        runs = {name: make(model, images, labels) for name, make in methods(device, arithmetic_name).items()}
        peaks = {name: peak_mb(run, device) for name, run in runs.items()}
        n_rounds = 1 if tiny else N_WARMUPS + N_ROUNDS
        found = [{name: seconds(run, device) for name, run in runs.items()} for _ in range(n_rounds)][-N_ROUNDS:]
    if not device.emulated:
        torch.cuda.empty_cache()
    return [
        {
            "method": name,
            **summary([times[name] for times in found]),
            "ratio": statistics.median(times[name] / times["plain"] for times in found),
            "peak_mb": peaks[name],
        }
        for name in runs
    ]
