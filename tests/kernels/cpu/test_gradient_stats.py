"""gradient_stats of linear calls against float64: dtypes, layouts, odd sizes, instruction sets, thread counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kernels.cpu.gradient_oracle import FLOAT32, FLOAT64, check, linear_operands

# (samples, positions, inputs, outputs): tile and slice edges of every instruction set, few and many positions.
SIZES = [(8, 50, 70, 37), (9, 9, 48, 96), (16, 1, 33, 17), (8, 3, 100, 20), (8, 197, 49, 130), (32, 12, 20, 9)]

DTYPES = [
    (torch.float32, torch.float32, FLOAT32),
    (torch.float64, torch.float64, FLOAT64),
    (torch.bfloat16, torch.bfloat16, FLOAT32),
    (torch.float16, torch.float16, FLOAT32),
    (torch.bfloat16, torch.float32, FLOAT32),
    (torch.float16, torch.float64, FLOAT64),
]


def _inside(t: Tensor) -> Tensor:
    """The same values as a slice of a larger tensor, offset in every dimension."""
    larger = torch.full([n + 3 for n in t.shape], float("nan"), dtype=t.dtype)
    view = larger[tuple(slice(1, n + 1) for n in t.shape)]
    view.copy_(t)
    return view


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda t: t.contiguous(),
    "features_outside": lambda t: t.transpose(1, 2).contiguous().transpose(1, 2),
    "time_major": lambda t: t.transpose(0, 1).contiguous().transpose(0, 1),
    "samples_inside": lambda t: t.permute(1, 2, 0).contiguous().permute(2, 0, 1),
    "slice": _inside,
}


@pytest.mark.parametrize("gradient", ["abs", "signed"])
@pytest.mark.parametrize("size", SIZES)
def test_sizes(size: tuple[int, int, int, int], gradient: str, isa: str, generator: torch.Generator) -> None:
    check([linear_operands(size, generator)], gradient=gradient)


@pytest.mark.parametrize(("x_dtype", "grad_dtype", "tolerance"), DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_dtypes_and_layouts(
    layout: str,
    x_dtype: torch.dtype,
    grad_dtype: torch.dtype,
    tolerance: float,
    isa: str,
    generator: torch.Generator,
) -> None:
    x, grad_out = linear_operands((8, 21, 53, 19), generator)
    check([(LAYOUTS[layout](x.to(x_dtype)), LAYOUTS[layout](grad_out.to(grad_dtype)))], tolerance=tolerance)


@pytest.mark.parametrize("positions", [(), (5,), (3, 4), (2, 3, 2, 2, 3)])
def test_position_dimensions(positions: tuple[int, ...], isa: str, generator: torch.Generator) -> None:
    x = torch.randn(8, *positions, 30, generator=generator)
    grad_out = torch.randn(*reversed(positions), 8, 11, generator=generator)
    order = [len(positions), *reversed(range(len(positions))), len(positions) + 1]
    check([(x, grad_out.permute(order))])


def test_expanded_operands(isa: str, generator: torch.Generator) -> None:
    x = torch.randn(1, 1, 30, generator=generator).expand(8, 13, 30)
    check([(x, torch.randn(8, 13, 11, generator=generator))])


def test_negative_zero_and_reversed_copy(isa: str, generator: torch.Generator) -> None:
    x, grad_out = linear_operands((8, 13, 30, 11), generator)
    check([(torch.flip(x, [2]), torch.where(grad_out > 0, grad_out, -0.0))])


def test_several_calls_are_one_gradient(isa: str, generator: torch.Generator) -> None:
    first = linear_operands((8, 21, 53, 19), generator)
    second = linear_operands((8, 4, 53, 19), generator)
    check([first, second])
    check([second, (first[0][:, :2], first[1][:, :2])])


@pytest.mark.parametrize("blocks", [[0], [2], [0, 2], [0, 1, 2], []])
@pytest.mark.parametrize("positions", [3, 21])
def test_row_blocks(blocks: list[int], positions: int, isa: str, generator: torch.Generator) -> None:
    check([linear_operands((8, positions, 53, 19), generator)], row_blocks=blocks)


def test_one_large_weight(isa: str, generator: torch.Generator) -> None:
    """Several tasks in both directions."""
    check([linear_operands((8, 17, 800, 200), generator)])
