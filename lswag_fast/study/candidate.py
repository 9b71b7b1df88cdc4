"""An architecture on its way into a study, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from lswag_fast.spaces import SearchSpace

Latency = Callable[[str, Any], float]
"""The text of an architecture and the architecture -> its latency in milliseconds."""


class Candidate:
    """An architecture of a space; its text and costs are computed when first asked for, and once.

    Args:
        arch: the architecture.
        space: the space it belongs to.
        latency: what measures it; None where no budget asks for latencies.
    """

    def __init__(self, arch: Any, space: SearchSpace, latency: Latency | None = None) -> None:
        self.arch = arch
        self._space = space
        self._latency = latency

    @cached_property
    def arch_json(self) -> str:
        """Its canonical text."""
        return self._space.encode(self.arch)

    @cached_property
    def n_params(self) -> int:
        """Number of parameters."""
        return int(self._space.n_params(self.arch))

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of one sample."""
        return int(self._space.macs(self.arch))

    @property
    def latency_ms(self) -> float:
        """Time of one sample in milliseconds; measured now if it was not before."""
        if self._latency is None:
            raise RuntimeError("a budget limits the latency, and nothing measures it")
        return self._latency(self.arch_json, self.arch)
