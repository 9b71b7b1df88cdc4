"""How long a network takes for one image on this machine: measured once an architecture, and remembered."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from lswag_fast.spaces import SearchSpace

# The first passes allocate and choose algorithms; the median of the others ignores what else the machine did.
WARM_UP = 2
REPEATS = 7


class Latencies:
    """Latencies by architecture.

    Args:
        space: builds the networks.
        measure: `measure(arch)` -> milliseconds; None builds the network and calls `measure_ms`.

    Attributes:
        known: {text of an architecture: milliseconds}.
        save: called with each new one, before it is used: whoever draws again decides by the same number.
    """

    def __init__(self, space: SearchSpace, measure: Callable[[Any], float] | None = None) -> None:
        self.known: dict[str, float] = {}
        self.save: Callable[[str, float], None] = lambda arch_json, latency_ms: None
        self._measure = measure or (lambda arch: measure_ms(space.build(arch), space.input_shape))

    def __call__(self, arch_json: str, arch: Any) -> float:
        """Return the latency of an architecture in milliseconds."""
        if arch_json not in self.known:
            latency_ms = float(self._measure(arch))
            self.save(arch_json, latency_ms)
            self.known[arch_json] = latency_ms
        return self.known[arch_json]


def measure_ms(model: torch.nn.Module, input_shape: tuple[int, int, int]) -> float:
    """Return the median time of a forward pass of one image in milliseconds.

    In eval mode, without gradients, on torch's present number of threads; on the device of the model's parameters.
    """
    parameter = next(model.parameters())
    image = torch.zeros((1, *input_shape), dtype=parameter.dtype, device=parameter.device)
    model.eval()
    times = []
    with torch.inference_mode():
        for _ in range(WARM_UP + REPEATS):
            start = time.perf_counter()
            model(image)
            if image.is_cuda:
                torch.cuda.synchronize(image.device)
            times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[WARM_UP:])
