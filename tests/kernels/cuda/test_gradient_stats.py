"""gradient_stats on a CUDA device against float64 and against the CPU kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from kernels.cpu.gradient_oracle import (
    FLOAT32,
    FLOAT64,
    Calls,
    assert_close,
    conv_gradients,
    linear_gradients,
    select_rows,
    stats_of,
)
from lswag_fast import reference
from lswag_fast.kernels import ConvGeometry, Moments, gradient_stats, start_gradient_stats
from support.device import Device

pytestmark = pytest.mark.cuda

DTYPES = [
    (torch.float32, torch.float32, FLOAT32),
    (torch.float64, torch.float64, FLOAT64),
    (torch.bfloat16, torch.bfloat16, FLOAT32),
    (torch.float16, torch.float16, FLOAT32),
    (torch.bfloat16, torch.float32, FLOAT32),
    (torch.float16, torch.float64, FLOAT64),
]

LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda t: t.contiguous(),
    "features_outside": lambda t: t.transpose(1, 2).contiguous().transpose(1, 2),
    "time_major": lambda t: t.transpose(0, 1).contiguous().transpose(0, 1),
    "every_second": lambda t: torch.stack((t, t * float("nan")), dim=-1).flatten(2)[..., ::2],
}


def check(
    device: Device, calls: Calls, *, conv: ConvGeometry | None = None, tolerance: float = FLOAT32, **options: Any
) -> None:
    """Compare every field with the definition and the CPU kernel, and one run's bits with another's."""
    gradients = linear_gradients(calls) if conv is None else conv_gradients(calls, conv)
    weight = torch.randn(gradients.shape[1:], generator=torch.Generator().manual_seed(1))
    blocks = options.get("row_blocks")
    feature_axis = -1 if conv is None else 1
    expected = stats_of(
        select_rows(gradients, blocks),
        absolute=options.get("gradient", "abs") == "abs",
        weight=select_rows(weight[None], blocks)[0],
        rounding=reference.rounding_error(calls, feature_axis),
        least=reference.least_deviation(calls, feature_axis),
    )
    of_cpu = gradient_stats(calls, conv=conv, batch_gradient=True, weight=weight, **options)
    put = [(device.put(x), device.put(grad_out)) for x, grad_out in calls]
    with device.active():
        found = gradient_stats(put, conv=conv, batch_gradient=True, weight=device.put(weight), **options)
        again = gradient_stats(put, conv=conv, batch_gradient=True, weight=device.put(weight), **options)
    assert found == again
    assert_close(found, expected, tolerance)
    assert_close(found, of_cpu, 2 * tolerance)


def operands(b: int, t: int, i: int, o: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    return torch.randn(b, t, i, generator=generator), torch.randn(b, t, o, generator=generator)


@pytest.mark.parametrize("gradient", ["abs", "signed"])
@pytest.mark.parametrize("size", [(8, 50, 70, 37), (9, 9, 64, 64), (16, 1, 33, 17), (40, 3, 20, 130)])
def test_sizes(device: Device, size: tuple[int, int, int, int], gradient: str, generator: torch.Generator) -> None:
    check(device, [operands(*size, generator)], gradient=gradient)


@pytest.mark.parametrize(("x_dtype", "grad_dtype", "tolerance"), DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_dtypes_and_layouts(
    device: Device,
    layout: str,
    x_dtype: torch.dtype,
    grad_dtype: torch.dtype,
    tolerance: float,
    generator: torch.Generator,
) -> None:
    x, grad_out = operands(8, 21, 56, 24, generator)
    arrange = LAYOUTS[layout]
    check(device, [(arrange(x.to(x_dtype)), arrange(grad_out.to(grad_dtype)))], tolerance=tolerance)


@pytest.mark.parametrize("blocks", [[0], [2], [0, 2], []])
def test_row_blocks(device: Device, blocks: list[int], generator: torch.Generator) -> None:
    check(device, [operands(8, 21, 53, 19, generator)], row_blocks=blocks)


def test_several_calls(device: Device, generator: torch.Generator) -> None:
    check(device, [operands(8, t, 53, 19, generator) for t in (21, 4, 0, 1)])


CONVOLUTIONS: dict[str, tuple[int, int, tuple[int, ...], ConvGeometry]] = {
    "same_3x3": (16, 16, (9, 11), ConvGeometry((3, 3), (1, 1), (1, 1), (1, 1), 1)),
    "pointwise": (16, 17, (8, 8), ConvGeometry((1, 1), (1, 1), (0, 0), (1, 1), 1)),
    "strided_dilated": (5, 9, (13, 12), ConvGeometry((3, 2), (2, 1), (1, 2), (2, 1), 1)),
    "grouped": (8, 12, (9, 9), ConvGeometry((3, 3), (1, 1), (1, 1), (1, 1), 4)),
    "depthwise": (12, 12, (9, 9), ConvGeometry((3, 3), (1, 1), (1, 1), (1, 1), 12)),
    "conv1d": (4, 17, (21,), ConvGeometry((3,), (1,), (1,), (1,), 1)),
}


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(device: Device, name: str, dtype: torch.dtype, layout: str, generator: torch.Generator) -> None:
    channels, outputs, spatial, conv = CONVOLUTIONS[name]
    x = torch.randn(8, channels, *spatial, generator=generator).to(dtype)
    convolve = functional.conv1d if len(spatial) == 1 else functional.conv2d
    weight = torch.zeros(outputs, channels // conv.groups, *conv.kernel_size)
    shape = convolve(x.float(), weight, None, conv.stride, conv.padding, conv.dilation, conv.groups).shape
    grad_out = torch.randn(shape, generator=generator).to(dtype)
    if layout == "channels_last":
        x, grad_out = (t.movedim(1, -1).contiguous().movedim(-1, 1) for t in (x, grad_out))
    check(device, [(x, grad_out)], conv=conv, tolerance=FLOAT64 if dtype == torch.float64 else FLOAT32)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tiny_and_huge_gradients(device: Device, dtype: torch.dtype, scale: float, generator: torch.Generator) -> None:
    x, grad_out = operands(12, 20, 30, 17, generator)
    check(device, [(x.to(dtype), (grad_out * scale).to(dtype))])


def test_tf32_where_torch_allows_it(device: Device, generator: torch.Generator) -> None:
    """Against the definition on operands that TF32 holds exactly: 10 bits of mantissa."""
    x, grad_out = (t.bfloat16().float() for t in operands(12, 20, 30, 17, generator))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        check(device, [(x, grad_out)])
    finally:
        torch.set_float32_matmul_precision(before)


def test_nonfinite_and_constant_gradients(device: Device, generator: torch.Generator) -> None:
    x, grad_out = operands(12, 20, 30, 17, generator)
    grad_out[..., 3] = 0
    grad_out[7, 2, 5] = float("nan")
    with device.active():
        stats = gradient_stats([(device.put(x), device.put(grad_out))])
    assert (stats.n_weights, stats.n_zero_variance, stats.n_nonfinite) == (17 * 30, 30, 30)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_chunks_equal_the_whole(device: Device, dtype: torch.dtype, generator: torch.Generator) -> None:
    x, grad_out = (device.put((t * 1e-3).to(dtype)) for t in operands(12, 20, 30, 17, generator))
    with device.active():
        whole = gradient_stats([(x, grad_out)], batch_gradient=True, weight=device.put(torch.ones(17, 30)))
        moments = Moments.empty(17, 30, dtype, batch_gradient=True, device=device.torch_device)
        for chunk in (slice(0, 5), slice(5, 6), slice(6, 12)):
            pending = start_gradient_stats(
                [(x[chunk], grad_out[chunk])],
                batch_gradient=True,
                weight=device.put(torch.ones(17, 30)),
                moments=moments,
            )
    assert moments.count == 12
    # Twice the rounding of one pass.
    assert_close(pending.result(), whole, 2 * FLOAT32 if dtype == torch.float32 else 10 * FLOAT64)
    assert moments.batch_gradient is not None
    total = linear_gradients([(x.cpu(), grad_out.cpu())]).sum(0)
    torch.testing.assert_close(moments.batch_gradient.cpu().double(), total, rtol=1e-4, atol=1e-9)
    assert pending.result().n_weights == 17 * 30


def test_no_positions_and_no_weights(device: Device) -> None:
    with device.active():
        nothing = gradient_stats([(device.put(torch.zeros(3, 0, 7)), device.put(torch.zeros(3, 0, 5)))])
        no_weights = gradient_stats([(device.put(torch.zeros(3, 4, 0)), device.put(torch.zeros(3, 4, 5)))])
    assert (nothing.n_weights, nothing.n_zero_variance) == (35, 35)
    assert no_weights.n_weights == 0
