"""The latencies of a study's architectures: each measured once, and remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lswag_fast.errors import InputError
from lswag_fast.study.budget import Budget


class Latencies:
    """Latencies by architecture.

    Args:
        budget: what an architecture may cost.
        measure: `measure(arch)` -> milliseconds; needed where the budget limits the latency.

    Attributes:
        known: {text of an architecture: milliseconds}.
        save: called with each new one, before it is used: whoever draws again decides by the same number.

    Raises:
        InputError: the budget limits the latency, and nothing measures it.
    """

    def __init__(self, budget: Budget, measure: Callable[[Any], float] | None = None) -> None:
        if budget.latency_ms and measure is None:
            raise InputError(
                "the budget limits the latency: pass latency=, a function of an architecture that returns milliseconds "
                "(search() passes its own)"
            )
        self.known: dict[str, float] = {}
        self.save: Callable[[str, float], None] = lambda arch_json, latency_ms: None
        self._measure = measure

    def __call__(self, arch_json: str, arch: Any) -> float:
        """Return the latency of an architecture in milliseconds."""
        if arch_json not in self.known:
            if self._measure is None:
                raise InputError("nothing measures the latency of this study: pass latency=")
            latency_ms = float(self._measure(arch))
            self.save(arch_json, latency_ms)
            self.known[arch_json] = latency_ms
        return self.known[arch_json]
