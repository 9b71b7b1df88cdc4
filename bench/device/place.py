"""Where a check runs: the CUDA device, or the emulator with tensors on the CPU; arithmetic, and times there."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from bench.machine import machine_columns
from support.device import EMULATED, Device

ARITHMETICS = ("float32", "tf32", "bfloat16")


@dataclass(frozen=True)
class Cell:
    """One or several rows that are to be measured.

    Attributes:
        key: what they are of: case, batch, arithmetic, and the method where there is one.
        measure: gives the other columns of each.
    """

    key: dict[str, Any]
    measure: Callable[[], list[dict[str, Any]]]


def place() -> Device:
    """The device of this process, or the emulator where the environment says so."""
    return Device(emulated=bool(os.environ.get(EMULATED)))


def where(device: Device) -> dict[str, Any]:
    """The columns that say where a row was measured."""
    name = "emulator" if device.emulated else torch.cuda.get_device_name()
    return {"device": name, "cuda": torch.version.cuda or "", **machine_columns()}


@contextmanager
def arithmetic(name: str, device: Device) -> Iterator[None]:
    """float32 multiplied exactly or as TF32, in products and convolutions alike; or autocast to bfloat16."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = name == "tf32"
    try:
        with torch.autocast(device.torch_device.type, torch.bfloat16, enabled=name == "bfloat16"):
            yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def seconds(call: Callable[[], object], device: Device) -> float:
    """Of one call, until the device has finished."""
    begin = time.perf_counter()
    call()
    if not device.emulated:
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def times(call: Callable[[], object], device: Device, n_rounds: int, n_warmups: int = 2) -> dict[str, float]:
    """Of a call: median, least and largest seconds, after a few that are not timed."""
    for _ in range(n_warmups):
        seconds(call, device)
    return summary([seconds(call, device) for _ in range(n_rounds)])


def summary(found: list[float]) -> dict[str, float]:
    """The columns of the times of some rounds."""
    return {"median_s": statistics.median(found), "min_s": min(found), "max_s": max(found), "n": len(found)}


def peak_mb(call: Callable[[], object], device: Device) -> float | None:
    """Highest memory of the device during one call, above what was in use before; None in the emulator."""
    if device.emulated:
        return None
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    seconds(call, device)
    return (torch.cuda.max_memory_allocated() - before) / 2**20
