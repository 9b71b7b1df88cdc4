"""Each kernel under each instruction set, against the machine's peak and against torch.

`pytest bench/kernels/test_kernels.py --benchmark-json=kernels.json`, then `python -m bench.kernels.rows kernels.json`.
Only measures: a slow kernel does not fail here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from bench.kernels.peaks import best_seconds, copy_bandwidth, fma_peak
from bench.kernels.shapes import N_TOKENS, VIT_WEIGHTS
from bench.machine import machine_columns
from lswag_fast import kernels

N_ROUNDS = 21
# (channels, side of the planes) of the 3x3 convolutions of a NAS-Bench-201-like network.
CNN_WEIGHTS = {"conv16": (16, 32), "conv32": (32, 16), "conv64": (64, 8)}
CNN_SAMPLES = 64
CONV_3X3 = kernels.ConvGeometry((3, 3), (1, 1), (1, 1), (1, 1), 1)
# The activations of a network: shape of one sample, and how many of them.
VIT = (((N_TOKENS, 1344), 13),)
CNN = (((16, 32, 32), 33), ((32, 16, 16), 33), ((64, 8, 8), 33))
# Activations, samples in the batch, samples in a pattern: the default of `score`, ceil(log2 V) + 2, or all.
NETWORKS = {"vit": (VIT, 32, 20), "cnn": (CNN, 64, 16), "cnn_32_samples": (CNN, 32, 32)}
# Samples in the batch and in a pattern.
N_SAMPLES_OF_CASE = {"vit": (32, 20), "vit_all_samples": (32, 32), "cnn": (64, 16), "cnn_all_samples": (64, 64)}
SHAPES = {"vit": VIT[0][0], "cnn": CNN[0][0]}


@pytest.fixture(params=kernels.isa_list())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    kernels.set_isa(request.param)
    yield request.param
    kernels.set_isa(None)


Measure = Callable[..., float]


@pytest.fixture
def measure(benchmark: BenchmarkFixture) -> Measure:
    """Time a call and put the machine and `facts` into its row. Returns the median in seconds, NaN if not timed."""

    def run(call: Callable[[], object], **facts: float | str) -> float:
        benchmark.pedantic(call, rounds=N_ROUNDS, warmup_rounds=2)
        benchmark.extra_info.update(machine_columns(), **facts)
        return float(benchmark.stats.stats.median) if benchmark.enabled else math.nan

    return run


def activations(shape: tuple[int, ...], n_samples: int, n: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn((n_samples, *shape), generator=generator) for _ in range(n)]


@pytest.mark.parametrize("weight", VIT_WEIGHTS)
def test_gradient_stats(measure: Measure, benchmark: BenchmarkFixture, isa: str, weight: str) -> None:
    n_samples, n_inputs, n_outputs = VIT_WEIGHTS[weight]
    x, grad_out = torch.randn(n_samples, N_TOKENS, n_inputs), torch.randn(n_samples, N_TOKENS, n_outputs)
    peak = fma_peak(isa)
    seconds = measure(lambda: kernels.gradient_stats([(x, grad_out)]), peak_gflops=peak / 1e9)
    rate = 2 * n_samples * N_TOKENS * n_inputs * n_outputs / seconds
    benchmark.extra_info.update(gflops=rate / 1e9, fraction_of_peak=rate / peak)


@pytest.mark.parametrize("weight", CNN_WEIGHTS)
def test_gradient_stats_of_conv(measure: Measure, benchmark: BenchmarkFixture, isa: str, weight: str) -> None:
    n_channels, side = CNN_WEIGHTS[weight]
    x, grad_out = torch.randn(2, CNN_SAMPLES, n_channels, side, side)
    peak = fma_peak(isa)
    seconds = measure(lambda: kernels.gradient_stats([(x, grad_out)], conv=CONV_3X3), peak_gflops=peak / 1e9)
    rate = 2 * CNN_SAMPLES * (side * n_channels * 3) ** 2 / seconds
    benchmark.extra_info.update(gflops=rate / 1e9, fraction_of_peak=rate / peak)


def pack_case(case: str) -> tuple[list[Tensor], int, str]:
    """Activations larger than the caches together, the samples to pack, and the layout of the words."""
    if case == "cnn_channels_last":
        packed = activations((32, 64, 64), 64, 6)
        return [y.contiguous(memory_format=torch.channels_last) for y in packed], 32, "neuron"
    dtype = torch.float16 if case == "vit_float16" else torch.float32
    layout = "sample" if case == "vit_sample_major" else "neuron"
    return [y.to(dtype) for y in activations(SHAPES["vit"], 32, 6)], 20, layout


@pytest.mark.parametrize("case", ["vit", "vit_float16", "vit_sample_major", "cnn_channels_last"])
def test_pack_signs(measure: Measure, benchmark: BenchmarkFixture, isa: str, case: str) -> None:
    ys, n_samples, layout = pack_case(case)
    turn = itertools.cycle(ys)
    words = kernels.pack_signs(ys[0], n_samples, layout)
    n_bytes = ys[0][:n_samples].numel() * ys[0].element_size() + words.numel() * words.element_size()
    bandwidth = copy_bandwidth()
    seconds = measure(lambda: kernels.pack_signs(next(turn), n_samples, layout), copy_gb_per_s=bandwidth / 1e9)
    rate = n_bytes / seconds
    benchmark.extra_info.update(gb_per_s=rate / 1e9, fraction_of_copy=rate / bandwidth)


@pytest.mark.parametrize("case", N_SAMPLES_OF_CASE)
def test_count_distinct(measure: Measure, benchmark: BenchmarkFixture, case: str) -> None:
    batch, n_samples = N_SAMPLES_OF_CASE[case]
    (y,) = activations(SHAPES[case.split("_")[0]], batch, 1)
    words = kernels.pack_signs(y, batch)
    seconds = measure(lambda: kernels.count_distinct(words, n_samples))
    benchmark.extra_info["ns_per_row"] = seconds / words.shape[0] * 1e9


@pytest.mark.parametrize("network", NETWORKS)
def test_patterns_against_unique(measure: Measure, benchmark: BenchmarkFixture, isa: str, network: str) -> None:
    """Pack and count every activation of a network; torch.unique on one of each shape, times their number."""
    groups, batch, n_samples = NETWORKS[network]
    ys = [y for shape, n in groups for y in activations(shape, batch, n)]

    def patterns() -> list[int]:
        return [kernels.count_distinct(kernels.pack_signs(y, n_samples), n_samples) for y in ys]

    def unique(y: Tensor) -> int:
        signs = (y[:n_samples] > 0).reshape(n_samples, -1).T
        return int(torch.unique(signs, dim=0).shape[0])

    one_each = {y.shape: y for y in ys}.values()
    assert {unique(y) for y in one_each} <= set(patterns())
    n_of_shape = dict(groups)
    theirs = sum(n_of_shape[tuple(y.shape[1:])] * best_seconds(lambda y=y: unique(y)) for y in one_each)
    ours = measure(patterns, unique_s=theirs)
    benchmark.extra_info["speedup_over_unique"] = theirs / ours


@pytest.mark.parametrize("start", ["activations", "signs"])
@pytest.mark.parametrize("network", ["vit", "cnn_32_samples"])
def test_agreements_against_products(
    measure: Measure, benchmark: BenchmarkFixture, isa: str, network: str, start: str
) -> None:
    """Agreements of all pairs over every activation, against the two matrix products of the published NWOT code; both
    from the activations, or both from signs that are there already (packed words, a float matrix of 0 and 1).

    One activation of each shape, over and over: in a pass it has just been written and lies in the cache if it fits.
    """
    groups, n_samples, _ = NETWORKS[network]
    one_each = {shape: activations(shape, n_samples, 1)[0] for shape, _ in groups}
    packed_each = {shape: kernels.pack_signs(y, n_samples, "sample") for shape, y in one_each.items()}
    matrix_each = {shape: on_matrix(y) for shape, y in one_each.items()}
    ys, words, matrices = (
        [each[shape] for shape, n in groups for _ in range(n)] for each in (one_each, packed_each, matrix_each)
    )

    def products() -> list[Tensor]:
        on = matrices if start == "signs" else map(on_matrix, ys)
        return [m @ m.T + (1 - m) @ (1 - m).T for m in on]

    def agreements() -> list[Tensor]:
        packed = words if start == "signs" else (kernels.pack_signs(y, n_samples, "sample") for y in ys)
        return [kernels.agreement_counts(w, y[0].numel()) for w, y in zip(packed, ys, strict=True)]

    assert torch.equal(agreements()[0], products()[0].long())
    theirs = best_seconds(products)
    ours = measure(agreements, products_s=theirs)
    benchmark.extra_info["speedup_over_products"] = theirs / ours


def on_matrix(y: Tensor) -> Tensor:
    """Which neurons are on, as the float matrix (S, V) of the published code."""
    return (y > 0).flatten(1).float()
