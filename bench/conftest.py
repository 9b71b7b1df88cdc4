"""Shared by the benchmarks of whole scores: the cells, and timing in turn with the plain pass."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.score.measure import prepare, seconds
from bench.score.methods import missing_package

N_ROUNDS = 5


@pytest.fixture
def against_plain(benchmark: BenchmarkFixture) -> Callable[[str, int, str], None]:
    """Time a method; before each of its rounds the plain pass runs once, untimed by pytest-benchmark."""

    def measure(network: str, batch_size: int, method: str) -> None:
        if package := missing_package(method):
            pytest.skip(f"{package} is not installed (pip install 'lswag-fast[bench]')")
        plain, run = prepare(network, batch_size, "plain"), prepare(network, batch_size, method)
        plain_times: list[float] = []
        plain()
        run()
        benchmark.pedantic(run, setup=lambda: plain_times.append(seconds(plain)), rounds=N_ROUNDS)
        ratios = [own / other for own, other in zip(benchmark.stats.stats.data, plain_times, strict=True)]
        benchmark.extra_info["ratio_to_plain"] = statistics.median(ratios)

    return measure
