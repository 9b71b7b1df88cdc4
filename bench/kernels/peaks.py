"""What the machine can do at best, measured beside each kernel: arithmetic and memory."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from lswag_fast import kernels

N_TRIES = 7
FMA_ITERATIONS = 2_000_000
# Four times the largest last-level cache met so far (32 MiB), so that the copy is one of memory.
COPY_BYTES = 128 * 2**20


def best_seconds(run: Callable[[], object]) -> float:
    """The shortest of a few runs: what others do on the machine can only lengthen one."""
    times = []
    for _ in range(N_TRIES):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def fma_peak(isa: str) -> float:
    """Floating-point operations per second of independent fused multiply-adds, on torch's number of threads."""
    n_operations = kernels.fma_loop(isa, FMA_ITERATIONS)
    return n_operations / best_seconds(lambda: kernels.fma_loop(isa, FMA_ITERATIONS))


def copy_bandwidth() -> float:
    """Bytes per second that torch's copy reads and writes together, on torch's number of threads."""
    source = torch.ones(COPY_BYTES // 4)
    target = torch.zeros_like(source)
    return 2 * COPY_BYTES / best_seconds(lambda: target.copy_(source))
