"""The kernels and the whole score on a CUDA device, against its peaks as torch reaches them; skipped without one.

`pytest bench/kernels/test_device.py --benchmark-json=device.json`, then `python -m bench.kernels.rows device.json`.
Only measures: a slow kernel does not fail here.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from bench.kernels.peaks import best_seconds
from bench.kernels.test_kernels import N_TOKENS, VIT_WEIGHTS
from bench.machine import machine_columns
from bench.score.measure import prepare
from lswag_fast import kernels

N_ROUNDS = 21
PRODUCT_SIZE = 8192  # of the square product that stands for the peak
COPY_BYTES = 2**30

DTYPES = {
    "f32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "f16": torch.float16,
    "f64": torch.float64,
}


@pytest.fixture
def cuda() -> torch.device:
    """The current CUDA device."""
    if not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device here")
    device = torch.device("cuda", torch.cuda.current_device())
    problem = kernels.device_problem(device)
    if problem is not None:
        pytest.skip(problem)
    return device


def finished(call: Callable[[], object]) -> Callable[[], None]:
    """The call and the wait for the device."""

    def run() -> None:
        call()
        torch.cuda.synchronize()

    return run


def measure(benchmark: BenchmarkFixture, call: Callable[[], object], **facts: float | str) -> float:
    """Time a call; returns the median in seconds, NaN if not timed."""
    benchmark.pedantic(finished(call), rounds=N_ROUNDS, warmup_rounds=3)
    benchmark.extra_info.update(machine_columns(), device=torch.cuda.get_device_name(), **facts)
    return float(benchmark.stats.stats.median) if benchmark.enabled else math.nan


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weight", VIT_WEIGHTS)
def test_gradient_stats(benchmark: BenchmarkFixture, cuda: torch.device, weight: str, dtype: str) -> None:
    """Against torch's product of two large matrices of the same dtype."""
    n_samples, n_inputs, n_outputs = VIT_WEIGHTS[weight]
    x, grad_out = (torch.randn(n_samples, N_TOKENS, n, device=cuda, dtype=DTYPES[dtype]) for n in (n_inputs, n_outputs))
    square = torch.randn(PRODUCT_SIZE, PRODUCT_SIZE, device=cuda, dtype=DTYPES[dtype])
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if dtype == "tf32" else "highest")
    try:
        peak = 2 * PRODUCT_SIZE**3 / best_seconds(finished(lambda: square @ square))
        seconds = measure(benchmark, lambda: kernels.start_gradient_stats([(x, grad_out)]), product_gflops=peak / 1e9)
    finally:
        torch.set_float32_matmul_precision(before)
    rate = 2 * n_samples * N_TOKENS * n_inputs * n_outputs / seconds
    benchmark.extra_info.update(gflops=rate / 1e9, fraction_of_product=rate / peak)


@pytest.mark.parametrize("layout", ["neuron", "sample"])
@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_pack_signs(benchmark: BenchmarkFixture, cuda: torch.device, dtype: str, layout: kernels.PatternLayout) -> None:
    """Against a copy on the device."""
    source = torch.ones(COPY_BYTES // 4, device=cuda)
    target = torch.zeros_like(source)
    bandwidth = 2 * COPY_BYTES / best_seconds(finished(lambda: target.copy_(source)))
    y = torch.randn(256, N_TOKENS, 1344, device=cuda).to(DTYPES[dtype])  # larger than the cache
    words = kernels.pack_signs(y, y.shape[0], layout)
    n_bytes = y.numel() * y.element_size() + words.numel() * words.element_size()
    seconds = measure(benchmark, lambda: kernels.pack_signs(y, y.shape[0], layout), copy_gb_per_s=bandwidth / 1e9)
    benchmark.extra_info.update(gb_per_s=n_bytes / seconds / 1e9, fraction_of_copy=n_bytes / seconds / bandwidth)


def test_count_distinct(benchmark: BenchmarkFixture, cuda: torch.device) -> None:
    words = kernels.pack_signs(torch.randn(32, N_TOKENS, 1344, device=cuda), 20)
    seconds = measure(benchmark, lambda: kernels.count_distinct(words, 20))
    benchmark.extra_info["ns_per_row"] = seconds / words.shape[0] * 1e9


@pytest.mark.parametrize("method", ["plain", "score"])
def test_score(benchmark: BenchmarkFixture, cuda: torch.device, method: str) -> None:
    """The whole score of Autoformer-S, and the plain forward and backward pass beside it."""
    measure(benchmark, prepare("autoformer_s", 32, method, cuda))
