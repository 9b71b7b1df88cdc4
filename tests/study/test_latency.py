"""The latencies of a study: measured once, stored before they are used, and refused without a measure."""

from __future__ import annotations

from typing import Any

import pytest

from lswag_fast.errors import InputError
from lswag_fast.study.budget import Budget
from lswag_fast.study.latency import Latencies
from lswag_fast.study.study import Study
from study.toy_space import ToySpace


def test_each_architecture_is_measured_once_and_saved_before_it_is_known() -> None:
    calls: list[str] = []

    def measure(arch: Any) -> float:
        calls.append(arch)
        return 2.5

    latencies = Latencies(Budget(latency_ms="..3"), measure)
    saved: list[tuple[str, float, bool]] = []
    latencies.save = lambda text, latency_ms: saved.append((text, latency_ms, text in latencies.known))
    assert [latencies("a", "arch a"), latencies("a", "arch a"), latencies("b", "arch b")] == [2.5, 2.5, 2.5]
    assert calls == ["arch a", "arch b"]
    assert saved == [("a", 2.5, False), ("b", 2.5, False)]


def test_what_is_known_is_not_measured() -> None:
    latencies = Latencies(Budget())
    latencies.known["a"] = 1.0
    assert latencies("a", None) == 1.0
    with pytest.raises(InputError, match="nothing measures the latency"):
        latencies("b", None)


def test_a_budget_on_latency_needs_a_measure() -> None:
    with pytest.raises(InputError, match="the budget limits the latency: pass latency="):
        Study(ToySpace(), budget=Budget(latency_ms="..3"))
    study = Study(ToySpace(), budget=Budget(latency_ms="..3"), latency=lambda arch: float(arch["widths"][0]))
    assert study.ask().latency_ms in (1.0, 2.0, 3.0)
