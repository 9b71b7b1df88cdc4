"""Each kernel on a device, against what torch reaches there: a product of two large matrices, and a copy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from bench.device.place import Cell, arithmetic, seconds, times
from bench.kernels.shapes import N_TOKENS, VIT_WEIGHTS
from lswag_fast import kernels
from lswag_fast.kernels import PatternLayout
from support.device import Device

N_ROUNDS = 21
COUNTED = 20  # samples of a pattern
LAYOUTS: tuple[PatternLayout, ...] = ("neuron", "sample")
DTYPES = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float64": torch.float64,
}


@dataclass(frozen=True)
class Sizes:
    """What is measured: of the products and copies that stand for the peaks, and of the kernels' operands."""

    product: int
    copied_bytes: int
    n_tokens: int
    weights: dict[str, tuple[int, int, int]]
    convolutions: dict[str, tuple[int, int, int, int]]
    activation: tuple[int, int, int]


# Convolutions: samples, channels, side of the planes, groups. The activation is larger than the cache of a device.
FULL = Sizes(
    8192, 2**30, N_TOKENS, VIT_WEIGHTS, {"3x3": (32, 64, 56, 1), "depthwise 3x3": (32, 96, 56, 96)}, (256, 197, 1344)
)
TINY = Sizes(32, 2**12, 4, {"qkv": (4, 16, 24)}, {"3x3": (4, 8, 6, 1), "depthwise 3x3": (4, 8, 6, 8)}, (20, 5, 16))


def cells(device: Device, tiny: bool) -> Iterator[Cell]:
    """A cell for each kernel, case and arithmetic."""
    sizes, n_rounds = (TINY, 1) if tiny else (FULL, N_ROUNDS)
    for name in DTYPES:
        for case, (n_samples, n_inputs, n_outputs) in sizes.weights.items():
            shapes = tuple((n_samples, sizes.n_tokens, n) for n in (n_inputs, n_outputs))
            key = {"method": "gradient_stats", "case": case, "batch": n_samples, "arithmetic": name}
            yield Cell(key, partial(gradient_stats, device, name, shapes, None, sizes.product, n_rounds))
        for case, (n_samples, channels, side, groups) in sizes.convolutions.items():
            shapes = ((n_samples, channels, side, side),) * 2
            conv = kernels.ConvGeometry((3, 3), (1, 1), (1, 1), (1, 1), groups)
            key = {"method": "gradient_stats", "case": case, "batch": n_samples, "arithmetic": name}
            yield Cell(key, partial(gradient_stats, device, name, shapes, conv, sizes.product, n_rounds))
    n_samples = sizes.activation[0]
    for name in ("float32", "bfloat16"):
        for layout in LAYOUTS:
            key = {"method": "pack_signs", "case": layout, "batch": n_samples, "arithmetic": name}
            yield Cell(key, partial(pack_signs, device, name, layout, sizes, n_rounds))
    for count in (count_distinct, agreement_counts):
        key = {"method": count.__name__, "case": f"{COUNTED} samples", "batch": n_samples, "arithmetic": "float32"}
        yield Cell(key, partial(count, device, sizes, n_rounds))


def gradient_stats(
    device: Device,
    name: str,
    shapes: tuple[tuple[int, ...], ...],
    conv: kernels.ConvGeometry | None,
    product_size: int,
    n_rounds: int,
) -> list[dict[str, Any]]:
    """One weight, as a share of the rate of torch's product of two square matrices."""
    with arithmetic(name, device), device.active():
        peak = product_rate(device, name, product_size)
        x, grad_out = (drawn(device, shape, name) for shape in shapes)
        found = times(lambda: kernels.start_gradient_stats([(x, grad_out)], conv=conv), device, n_rounds)
    rate = 2 * n_products(x, grad_out, conv) / found["median_s"]
    return [{**found, "gflops": rate / 1e9, "peak_gflops": peak / 1e9, "fraction": rate / peak}]


@lru_cache
def product_rate(device: Device, name: str, size: int) -> float:
    """Operations per second of torch's product of two square matrices."""
    square = drawn(device, (size, size), name)
    return 2 * size**3 / best(lambda: square @ square, device)


def n_products(x: Tensor, grad_out: Tensor, conv: kernels.ConvGeometry | None) -> int:
    """Multiplications of the per-sample gradients of a weight; of a 3x3 convolution without those outside the plane."""
    if conv is None:
        return x.numel() * grad_out.shape[-1]
    return grad_out.numel() * x.shape[1] // conv.groups * math.prod(conv.kernel_size)


def pack_signs(device: Device, name: str, layout: PatternLayout, sizes: Sizes, n_rounds: int) -> list[dict[str, Any]]:
    """The signs of an activation, as a share of the rate of a copy."""
    source = torch.ones(sizes.copied_bytes // 4, device=device.torch_device)
    target = torch.zeros_like(source)
    bandwidth = 2 * sizes.copied_bytes / best(lambda: target.copy_(source), device)
    y = drawn(device, sizes.activation, name)
    with device.active():
        words = kernels.pack_signs(y, y.shape[0], layout)
        found = times(lambda: kernels.pack_signs(y, y.shape[0], layout), device, n_rounds)
    rate = (y.numel() * y.element_size() + words.numel() * words.element_size()) / found["median_s"]
    return [{**found, "gb_s": rate / 1e9, "fraction": rate / bandwidth}]


def count_distinct(device: Device, sizes: Sizes, n_rounds: int) -> list[dict[str, Any]]:
    """The different patterns of an activation."""
    with device.active():
        words = kernels.pack_signs(drawn(device, sizes.activation, "float32"), COUNTED)
        return [times(lambda: kernels.count_distinct(words, COUNTED), device, n_rounds)]


def agreement_counts(device: Device, sizes: Sizes, n_rounds: int) -> list[dict[str, Any]]:
    """For each two samples, on how many neurons of an activation they agree."""
    y = drawn(device, sizes.activation, "float32")
    with device.active():
        words = kernels.pack_signs(y, COUNTED, "sample")
        return [times(lambda: kernels.agreement_counts(words, y[0].numel()), device, n_rounds)]


def drawn(device: Device, shape: tuple[int, ...], name: str) -> Tensor:
    """Normal numbers on the device."""
    return torch.randn(shape, device=device.torch_device, dtype=DTYPES[name])


def best(call: Callable[[], object], device: Device) -> float:
    """The shortest of a few calls: what others do on the machine can only lengthen one."""
    return min(seconds(call, device) for _ in range(5))
