"""gradient_stats of convolutions against float64 gradients by autograd."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from kernels.cpu.gradient_oracle import FLOAT32, FLOAT64, check
from lswag_fast.kernels import ConvGeometry

BATCH = 8

# channels, outputs, spatial size, kernel, and what differs from the defaults
CASES: dict[str, tuple[int, int, tuple[int, ...], int, dict[str, int]]] = {
    "same_3x3": (16, 16, (9, 11), 3, {"padding": 1}),
    "first_layer": (3, 20, (12, 13), 3, {"padding": 1}),
    "strided_5x5": (5, 9, (9, 9), 5, {"stride": 2, "padding": 2}),
    "pointwise": (16, 17, (8, 8), 1, {}),
    "pointwise_one_position": (40, 17, (1, 1), 1, {}),
    "pointwise_strided": (16, 16, (8, 8), 1, {"stride": 2}),
    "pointwise_strided_odd": (52, 17, (40, 9), 1, {"stride": 3}),
    "pointwise_many_positions": (52, 17, (40, 9), 1, {}),
    "wide_lines": (20, 16, (5, 43), 3, {"padding": 1}),
    "pointwise_grouped": (16, 24, (5, 5), 1, {"groups": 2}),
    "patches": (3, 24, (16, 16), 4, {"stride": 4}),
    "dilated": (8, 8, (12, 12), 3, {"padding": 2, "dilation": 2}),
    "grouped": (8, 12, (9, 9), 3, {"padding": 1, "groups": 4}),
    "grouped_wide": (40, 40, (7, 7), 3, {"padding": 1, "groups": 2}),
    "depthwise": (20, 20, (9, 9), 3, {"padding": 1, "groups": 20}),
    "depthwise_multiplier": (6, 18, (9, 9), 3, {"stride": 2, "padding": 1, "groups": 6}),
    "depthwise_7x7": (12, 12, (9, 9), 7, {"padding": 3, "groups": 12}),
    "depthwise_dilated": (33, 33, (9, 9), 3, {"padding": 2, "dilation": 2, "groups": 33}),
    "no_padding": (7, 13, (6, 5), 3, {}),
    "conv1d": (4, 17, (21,), 3, {"padding": 1}),
    "conv1d_pointwise_strided": (16, 12, (21,), 1, {"stride": 2}),
    "conv1d_dilated_strided": (4, 9, (30,), 3, {"stride": 2, "dilation": 3}),
    "conv1d_depthwise": (8, 8, (30,), 5, {"padding": 2, "groups": 8}),
}


def _geometry(name: str) -> ConvGeometry:
    _, _, spatial, kernel, changes = CASES[name]
    n = len(spatial)
    settings = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1} | changes
    per_dim = {key: (settings[key],) * n for key in ("stride", "padding", "dilation")}
    return ConvGeometry(kernel_size=(kernel,) * n, groups=settings["groups"], **per_dim)


def _operands(name: str, generator: torch.Generator, extra: int = 0) -> tuple[Tensor, Tensor, ConvGeometry]:
    channels, outputs, spatial, _, _ = CASES[name]
    conv = _geometry(name)
    x = torch.randn(BATCH, channels, *(n + extra for n in spatial), generator=generator)
    convolve = functional.conv1d if len(spatial) == 1 else functional.conv2d
    weight = torch.zeros(outputs, channels // conv.groups, *conv.kernel_size)
    shape = convolve(x, weight, None, conv.stride, conv.padding, conv.dilation, conv.groups).shape
    return x, torch.randn(shape, generator=generator), conv


@pytest.mark.parametrize("gradient", ["abs", "signed"])
@pytest.mark.parametrize("name", CASES)
def test_geometries(name: str, gradient: str, isa: str, generator: torch.Generator) -> None:
    x, grad_out, conv = _operands(name, generator)
    check([(x, grad_out)], conv=conv, gradient=gradient)


def _strided(t: Tensor) -> Tensor:
    """Every second column of a wider tensor: no stride is 1."""
    wider = torch.full((*t.shape[:-1], 2 * t.shape[-1]), float("nan"), dtype=t.dtype)
    wider[..., ::2] = t
    return wider[..., ::2]


LAYOUTS: dict[str, Any] = {
    "channels_last": lambda t: t.to(memory_format=torch.channels_last),
    "samples_inside": lambda t: t.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2),
    "strided": _strided,
    "expanded": lambda t: t[:, :, :1].expand(t.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "name", ["same_3x3", "pointwise", "pointwise_strided", "grouped", "depthwise", "depthwise_multiplier"]
)
def test_layouts(name: str, layout: str, isa: str, generator: torch.Generator) -> None:
    x, grad_out, conv = _operands(name, generator)
    check([(LAYOUTS[layout](x), LAYOUTS[layout](grad_out))], conv=conv)


@pytest.mark.parametrize(
    ("x_dtype", "grad_dtype", "tolerance"),
    [
        (torch.float64, torch.float64, FLOAT64),
        (torch.bfloat16, torch.bfloat16, FLOAT32),
        (torch.float16, torch.float32, FLOAT32),
    ],
)
@pytest.mark.parametrize("name", ["same_3x3", "pointwise", "grouped", "depthwise", "conv1d"])
def test_dtypes(
    name: str, x_dtype: torch.dtype, grad_dtype: torch.dtype, tolerance: float, isa: str, generator: torch.Generator
) -> None:
    x, grad_out, conv = _operands(name, generator)
    check([(x.to(x_dtype), grad_out.to(grad_dtype))], conv=conv, tolerance=tolerance)


@pytest.mark.parametrize("name", ["same_3x3", "pointwise", "grouped", "depthwise", "conv1d"])
def test_calls_of_different_sizes(name: str, isa: str, generator: torch.Generator) -> None:
    x, grad_out, conv = _operands(name, generator)
    larger_x, larger_grad, _ = _operands(name, generator, extra=3)
    check([(x, grad_out), (larger_x, larger_grad)], conv=conv)


@pytest.mark.parametrize("blocks", [[0], [1], [0, 2]])
@pytest.mark.parametrize("name", ["first_layer", "pointwise", "patches", "depthwise", "depthwise_multiplier"])
def test_row_blocks(name: str, blocks: list[int], isa: str, generator: torch.Generator) -> None:
    x, grad_out, conv = _operands(name, generator)
    usable = [block for block in blocks if block * 8 < grad_out.shape[1]]
    check([(x, grad_out)], conv=conv, row_blocks=usable)
