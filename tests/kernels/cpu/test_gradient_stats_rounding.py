"""gradient_stats at the two ends of precision: gradients that are rounding errors, and tiny ones that are right."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from kernels.cpu.gradient_oracle import check
from lswag_fast import reference
from lswag_fast.kernels import ConvGeometry, Moments, gradient_stats

CONV = ConvGeometry((3, 3), (1, 1), (1, 1), (1, 1), 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("tiny", [1e-22, 1e-25])
def test_a_sample_answered_with_certainty(tiny: float, dtype: torch.dtype, isa: str) -> None:
    """The second sample's gradients are tiny and exact: sigma is 1/2 in the first row, tiny / 2 in the second."""
    x, grad_out = torch.ones(2, 4, dtype=dtype), torch.tensor([[1.0, 0.0], [0.0, tiny]], dtype=dtype)
    for samples in ([0, 1], [1, 0]):
        found = gradient_stats([(x, grad_out[samples])])
        assert found.n_zero_variance == 0
        # What float32 makes of the decimal number.
        assert math.log(found["sum_inv_sigma"]) == pytest.approx(math.log(8 + 8 / tiny), abs=1e-6)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0]])
def test_chunks_of_very_different_gradients(order: list[int], isa: str, generator: torch.Generator) -> None:
    """Whichever chunk comes first: the state is scaled to the largest gradients so far."""
    x, grad_out = torch.randn(4, 5, 6, generator=generator), torch.randn(4, 5, 7, generator=generator)
    grad_out *= torch.tensor([1e-22, 1.0, 0.0, 1e15])[:, None, None]
    x, grad_out = x[order].clone(), grad_out[order].clone()
    moments = Moments.empty(7, 6, torch.float32, batch_gradient=True)
    for k in range(4):
        found = gradient_stats([(x[k : k + 1], grad_out[k : k + 1])], moments=moments, batch_gradient=True)
    whole = gradient_stats([(x, grad_out)], batch_gradient=True)
    assert found.n_zero_variance == whole.n_zero_variance == 0
    # Merging rounds otherwise than adding samples one by one.
    assert found["sum_inv_sigma"] == pytest.approx(whole["sum_inv_sigma"], rel=1e-5)
    assert found["max_abs_batch_gradient"] == pytest.approx(whole["max_abs_batch_gradient"], rel=1e-5)


def _with_noise(x: Tensor, grad_out: Tensor, feature_axis: int, size: float) -> tuple[Tensor, Tensor]:
    """The even output features get gradients of `size` only: what remains where numbers of size 1 cancelled."""
    rows = torch.arange(grad_out.shape[feature_axis]) % 2 == 0
    shape = [1] * grad_out.dim()
    shape[feature_axis] = -1
    return x, torch.where(rows.view(shape), grad_out * size, grad_out)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gradient", ["abs", "signed"])
def test_the_floor_is_the_same_in_both_precisions(dtype: torch.dtype, gradient: str, isa: str) -> None:
    """The largest gradient is 1, so that a sigma counts from 2^-87 on: here 1/2, and half of each number."""
    sizes = torch.tensor([2.0**-85, 2.0**-86, 2.0**-86 * (1 - 2.0**-20), 2.0**-100, 0.0], dtype=dtype)
    x, grad_out = torch.ones(2, 4, dtype=dtype), torch.zeros(2, 6, dtype=dtype)
    grad_out[0, 0], grad_out[1, 1:] = 1, sizes
    assert reference.least_deviation([(x, grad_out)]) == 2.0**-87
    found = gradient_stats([(x, grad_out)], gradient=gradient)
    assert found.n_zero_variance == 3 * 4
    assert found["sum_inv_sigma"] == 4 * (2 + 2.0**86 + 2.0**87)
    check([(x, grad_out)], gradient=gradient)


def test_float64_has_no_smaller_gradients_than_float32(isa: str) -> None:
    """Those of a saturated activation, down to the least number of float64: nothing below float32's range decides."""
    x, grad_out = torch.ones(6, 4, dtype=torch.float64), torch.zeros(6, 8, dtype=torch.float64)
    grad_out[0] = torch.tensor([1.0, 1e-13, 1e-22, 1e-40, 1e-150, 1e-160, 1e-300, 1e-320], dtype=torch.float64)
    found = gradient_stats([(x, grad_out)], batch_gradient=True)
    assert found.n_zero_variance == 5 * 4
    of_float32 = gradient_stats([(x.float(), grad_out.float())], batch_gradient=True)
    assert of_float32.n_zero_variance == 5 * 4
    # What float32 makes of the decimal numbers.
    assert found["sum_inv_sigma"] == pytest.approx(of_float32["sum_inv_sigma"], rel=1e-6)
    assert found["sum_mean_abs_over_sigma"] == pytest.approx(of_float32["sum_mean_abs_over_sigma"], rel=1e-6)


@pytest.mark.parametrize("n_positions", [1, 4, 50])
def test_what_float32_cannot_tell_is_variance_in_float64(
    n_positions: int, isa: str, generator: torch.Generator
) -> None:
    x = torch.randn(12, n_positions, 30, generator=generator)
    grad_out = torch.randn(12, n_positions, 16, generator=generator)
    x, grad_out = _with_noise(x, grad_out, -1, 3e-9)
    assert gradient_stats([(x, grad_out)]).n_zero_variance == 8 * 30
    assert gradient_stats([(x.double(), grad_out.double())]).n_zero_variance == 0
    assert gradient_stats([(x, grad_out.double())]).n_zero_variance == 0
    check([(x.double(), grad_out.double())], tolerance=1e-10)


@pytest.mark.parametrize(("dtype", "size"), [(torch.float32, 3e-9), (torch.float64, 3e-18)])
@pytest.mark.parametrize("gradient", ["abs", "signed"])
@pytest.mark.parametrize("n_positions", [1, 4, 50])
def test_noise_is_no_variance(
    n_positions: int, gradient: str, dtype: torch.dtype, size: float, isa: str, generator: torch.Generator
) -> None:
    x = torch.randn(12, n_positions, 30, generator=generator).to(dtype)
    grad_out = torch.randn(12, n_positions, 16, generator=generator).to(dtype)
    call = _with_noise(x, grad_out, -1, size)
    assert gradient_stats([call], gradient=gradient).n_zero_variance == 8 * 30
    tolerance = 1e-5 if dtype == torch.float32 else 1e-10
    check([call], gradient=gradient, tolerance=tolerance)
    check([(x[:, :, :5], call[1]), (x[:, :, 5:10], call[1])], gradient=gradient, tolerance=tolerance)
    check([call], gradient=gradient, row_blocks=[1], tolerance=tolerance)


def test_noise_of_a_convolution(isa: str, generator: torch.Generator) -> None:
    x, grad_out = torch.randn(8, 5, 6, 7, generator=generator), torch.randn(8, 6, 6, 7, generator=generator)
    call = _with_noise(x, grad_out, 1, 3e-9)
    assert gradient_stats([call], conv=CONV).n_zero_variance == 3 * 45
    check([call], conv=CONV)


def test_positions_that_cancel(isa: str, generator: torch.Generator) -> None:
    """A layer of one input per sample before a normalisation over the positions: each sum of grad_out is zero."""
    grad_out = torch.randn(12, 300, 17, generator=generator)
    grad_out -= grad_out.mean(1, keepdim=True)
    x = torch.randn(12, 1, 30, generator=generator).expand(12, 300, 30)
    assert gradient_stats([(x, grad_out)]).n_zero_variance == 17 * 30


def test_noise_in_chunks(isa: str, generator: torch.Generator) -> None:
    x, grad_out = torch.randn(12, 3, 30, generator=generator), torch.randn(12, 3, 16, generator=generator)
    x, grad_out = _with_noise(x, grad_out, -1, 3e-9)
    moments = Moments.empty(16, 30, torch.float32)
    for chunk in (slice(0, 5), slice(5, 6), slice(6, 12)):
        found = gradient_stats([(x[chunk], grad_out[chunk])], moments=moments)
    assert found.n_zero_variance == 8 * 30
    squares = x.double().square().mean((1, 2)) * grad_out.double().square().mean((1, 2))
    assert float(moments.squares) == pytest.approx(float(squares.sum()), rel=1e-12)


def test_some_of_many_elements_are_looked_at(isa: str, generator: torch.Generator) -> None:
    """Which ones is part of the definition; of samples that seem zero, all are."""
    x, grad_out = torch.randn(6, 70, 64, generator=generator), torch.randn(6, 70, 32, generator=generator)
    x[2] = 0
    x[2, 1, 0] = 1e-3
    moments = Moments.empty(32, 64, torch.float32)
    gradient_stats([(x, grad_out)], moments=moments)
    n = 2 * 70 + 8 * 70**0.5
    expected = (reference.rounding_error([(x, grad_out)]) * 2**24 / n) ** 2 * 6
    assert float(moments.squares) == pytest.approx(expected, rel=1e-12)
