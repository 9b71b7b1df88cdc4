"""gradient_stats of float32 weights so large that a CPU with AMX multiplies them in pieces of bfloat16."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from kernels.cpu.gradient_oracle import FLOAT32, check, linear_operands
from lswag_fast import kernels
from lswag_fast.kernels import Moments, gradient_stats

# (samples, positions, inputs, outputs): edges of blocks of 32 positions, of tiles of 32 columns and rows, of tasks of
# 256 rows, and of sums of 512 positions.
SIZES = [(8, 96, 128, 128), (8, 127, 150, 155), (8, 128, 250, 285), (8, 197, 800, 140), (8, 600, 128, 155)]

LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "features_outside": lambda t: t.transpose(1, 2).contiguous().transpose(1, 2),
    "time_major": lambda t: t.transpose(0, 1).contiguous().transpose(0, 1),
    "every_other": lambda t: torch.stack([t, torch.full_like(t, float("nan"))], 3).flatten(2)[..., ::2],
}


@pytest.fixture
def amx() -> Iterator[None]:
    """Runs where AMX is, and gives the instruction set back."""
    if "amx" not in kernels.isa_list():
        pytest.skip("no AMX here")
    kernels.set_isa("amx")
    yield
    kernels.set_isa(None)


@pytest.mark.parametrize("gradient", ["abs", "signed"])
@pytest.mark.parametrize("size", SIZES)
def test_sizes(size: tuple[int, int, int, int], gradient: str, isa: str, generator: torch.Generator) -> None:
    check([linear_operands(size, generator)], gradient=gradient)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str, isa: str, generator: torch.Generator) -> None:
    x, grad_out = linear_operands((4, 125, 150, 157), generator)
    check([(LAYOUTS[layout](x), LAYOUTS[layout](grad_out))])


def test_several_calls_are_one_gradient(isa: str, generator: torch.Generator) -> None:
    check([linear_operands((4, n, 150, 157), generator) for n in (70, 1, 41)])


@pytest.mark.parametrize("exponents", [(-100, -20), (-120, 100), (60, 60)])
def test_magnitudes(exponents: tuple[int, int], isa: str, generator: torch.Generator) -> None:
    x, grad_out = linear_operands((4, 125, 150, 157), generator)
    check([(torch.ldexp(x, torch.tensor(exponents[0])), torch.ldexp(grad_out, torch.tensor(exponents[1])))])


def test_features_of_very_different_size(isa: str, generator: torch.Generator) -> None:
    """Each weight is right relative to its own size, as sums of 1/sigma demand."""
    x, grad_out = linear_operands((4, 125, 150, 157), generator)
    of_x = torch.arange(150.0) % 25 - 24
    of_grad = torch.arange(157.0) % 25 - 24
    check([(torch.ldexp(x, of_x), torch.ldexp(grad_out, of_grad))])


def test_chunks_continue(isa: str, generator: torch.Generator) -> None:
    x, grad_out = linear_operands((9, 125, 150, 157), generator)
    moments = Moments.empty(157, 150, torch.float32)
    for chunk in (slice(0, 2), slice(2, 9)):
        found = gradient_stats([(x[chunk], grad_out[chunk])], moments=moments)
    whole = gradient_stats([(x, grad_out)])
    assert found["sum_inv_sigma"] == pytest.approx(whole["sum_inv_sigma"], rel=FLOAT32)


def test_not_a_number_is_counted_where_it_is(isa: str, generator: torch.Generator) -> None:
    x, grad_out = linear_operands((4, 125, 150, 157), generator)
    x[1, 5, 3], grad_out[2, 124, 7] = float("nan"), float("inf")
    assert gradient_stats([(x, grad_out)])["n_nonfinite"] == 150 + 157 - 1


def test_equal_samples_have_exactly_no_variance(isa: str, generator: torch.Generator) -> None:
    x, grad_out = linear_operands((1, 125, 150, 157), generator)
    found = gradient_stats([(x.expand(5, -1, -1), grad_out.expand(5, -1, -1))])
    assert found.n_zero_variance == found.n_weights


def test_positions_that_cancel_have_no_variance(isa: str, generator: torch.Generator) -> None:
    grad_out = torch.randn(8, 300, 157, generator=generator)
    grad_out -= grad_out.mean(1, keepdim=True)
    x = torch.randn(8, 1, 150, generator=generator).expand(8, 300, 150)
    assert gradient_stats([(x, grad_out)]).n_zero_variance == 157 * 150


def bits(call: tuple[Tensor, Tensor], **options: Any) -> tuple[Any, Any]:
    """What AMX and AVX-512 make of a call."""
    found = []
    for isa in ("amx", "avx512"):
        kernels.set_isa(isa)
        found.append(gradient_stats([call], **options))
    return found[0], found[1]


SMALL = {
    "positions": (4, 95, 128, 128),
    "inputs": (4, 96, 127, 128),
    "outputs": (4, 96, 128, 127),
    "empty parts of tiles": (4, 128, 128, 136),
}


@pytest.mark.parametrize("size", SMALL.values(), ids=SMALL)
def test_smaller_weights_are_multiplied_whole(
    size: tuple[int, int, int, int], amx: None, generator: torch.Generator
) -> None:
    found, whole = bits(linear_operands(size, generator))
    assert found == whole


def test_a_part_of_the_rows_is_multiplied_whole(amx: None, generator: torch.Generator) -> None:
    found, whole = bits(linear_operands((4, 96, 128, 128), generator), row_blocks=[0, 3, 5])
    assert found == whole


def test_larger_weights_are_not(amx: None, generator: torch.Generator) -> None:
    found, whole = bits(linear_operands((4, 96, 128, 128), generator))
    assert found != whole


def test_a_gradient_is_closer_than_a_sum_of_floats(amx: None, generator: torch.Generator) -> None:
    """Of one sample the mean is the gradient itself."""
    x, grad_out = linear_operands((1, 197, 128, 160), generator)
    exact = Moments.empty(160, 128, torch.float64)
    gradient_stats([(x.double(), grad_out.double())], moments=exact)
    errors = []
    for isa in ("amx", "avx512"):
        kernels.set_isa(isa)
        moments = Moments.empty(160, 128, torch.float32)
        gradient_stats([(x, grad_out)], moments=moments)
        found = moments.mean.double()
        found *= exact.mean.norm() / found.norm()  # the two have powers of two of their own
        errors.append(float((found - exact.mean).norm() / exact.mean.norm()))
    assert errors[0] < errors[1] < 1e-6
