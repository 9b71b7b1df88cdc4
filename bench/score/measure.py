"""Paired times and peak memory of one method on one network."""

from __future__ import annotations

import gc
import statistics
import time
from pathlib import Path

import torch

from bench.score.methods import method as method_named
from bench.score.networks import ALL_SETTINGS
from bench.score.peers import Run

KB_PER_MB = 1024
STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # written to clear_refs, it sets the high-water mark of the resident set to its present size


def prepare(network: str, batch_size: int, method: str, device: str | torch.device = "cpu") -> Run:
    """Build the network and its batch on a device, and return the method as a call without arguments."""
    setting = ALL_SETTINGS[network]
    images, labels = setting.batch(batch_size)
    return method_named(method)(setting.build().to(device), images.to(device), labels.to(device))


def seconds(run: Run) -> float:
    """Wall time of one call in seconds."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def paired_times(network: str, batch_size: int, method: str, n_rounds: int) -> dict[str, float | int]:
    """Time the plain pass and the method in turn, after one warm-up of each.

    Returns seconds (median, least, largest), the median of the plain pass, and the median over the rounds of
    method / plain: the two of a round see the same state of the machine.
    """
    # The peers leave hooks on a model, so the plain pass has its own.
    plain, run = prepare(network, batch_size, "plain"), prepare(network, batch_size, method)
    plain()
    result = run()
    pairs = [(seconds(plain), seconds(run)) for _ in range(n_rounds)]
    times = [pair[1] for pair in pairs]
    return {
        "median_s": statistics.median(times),
        "min_s": min(times),
        "max_s": max(times),
        "n": n_rounds,
        "plain_median_s": statistics.median(pair[0] for pair in pairs),
        "ratio": statistics.median(method_s / plain_s for plain_s, method_s in pairs),
        "result": result,
    }


def _status_mb(field: str) -> float:
    """A size in MB from /proc/self/status; fails where the system has no such file."""
    for line in STATUS.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / KB_PER_MB
    raise LookupError(f"{STATUS} has no field {field}")


def peak_mb(run: Run) -> float:
    """Highest resident memory of one call, above what the process holds before it.

    For a fresh process: what earlier calls left in the allocator would be counted as free.
    """
    gc.collect()
    before = _status_mb("VmRSS:")
    CLEAR_REFS.write_text(RESET_PEAK, encoding="ascii")
    run()
    return _status_mb("VmHWM:") - before


def peak_above_model_mb(network: str, batch_size: int, method: str) -> float:
    """Highest resident memory of the first call, above what model, batch and libraries held before it."""
    return peak_mb(prepare(network, batch_size, method))
