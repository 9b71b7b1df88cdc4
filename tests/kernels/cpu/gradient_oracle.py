"""Float64 definition of what gradient_stats returns, and the comparison with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lswag_fast.kernels import ROW_BLOCK, ConvGeometry, GradientStats, gradient_stats

Calls = Sequence[tuple[Tensor, Tensor]]

# Relative, on identical inputs: rounding of float32 sums over positions and samples averages out over the weights.
FLOAT32 = 1e-5
# Float64 differs from the oracle in the order of its sums only; 1/sigma magnifies that where a variance is small.
FLOAT64 = 1e-11


def _flat(t: Tensor) -> Tensor:
    return t.double().reshape(t.shape[0], -1, t.shape[-1])


def linear_gradients(calls: Calls) -> Tensor:
    """Per-sample gradients (B, O, I): sum over the positions and the calls of grad_out x^T."""
    x, grad_out = calls[0]
    total = torch.zeros(x.shape[0], grad_out.shape[-1], x.shape[-1], dtype=torch.float64)
    for x, grad_out in calls:
        if x.numel() and grad_out.numel():
            total += torch.einsum("bto,bti->boi", _flat(grad_out), _flat(x))
    return total


def conv_gradients(calls: Calls, conv: ConvGeometry) -> Tensor:
    """Per-sample gradients (B, O, C/groups * taps) of a convolution, in the order of torch's weight, by autograd."""
    convolve = functional.conv1d if len(conv.kernel_size) == 1 else functional.conv2d
    x, grad_out = calls[0]
    shape = (grad_out.shape[1], x.shape[1] // conv.groups, *conv.kernel_size)
    gradients = []
    for b in range(x.shape[0]):
        weight = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
        loss = torch.zeros((), dtype=torch.float64)
        for x_call, g_call in calls:
            one = x_call[b : b + 1].double()
            y = convolve(one, weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)
            loss = loss + (y * g_call[b : b + 1].double()).sum()
        gradients.append(torch.autograd.grad(loss, weight)[0].flatten(1))
    return torch.stack(gradients)


def select_rows(gradients: Tensor, row_blocks: Sequence[int] | None) -> Tensor:
    """The output rows (axis 1) of the given blocks."""
    if row_blocks is None:
        return gradients
    rows = [r for block in row_blocks for r in range(block * ROW_BLOCK, (block + 1) * ROW_BLOCK)]
    return gradients[:, [r for r in rows if r < gradients.shape[1]]]


def stats_of(gradients: Tensor, *, absolute: bool, weight: Tensor, xi: float = 1e-8) -> GradientStats:
    """The statistics of per-sample gradients (B, O, K), by their definitions; weight (O, K)."""
    if not gradients.numel():
        return GradientStats(0, 0, 0, 0.0, 0.0, 0.0 if absolute else None, 0.0, 0.0, 0.0, 0.0)
    values = gradients.abs() if absolute else gradients
    finite = gradients.isfinite().all(0)
    varies = finite & (values != values[:1]).any(0)
    sigma = values.var(0, unbiased=False)[varies].sqrt()
    signed = gradients[:, finite]
    deviation = signed.var(0, unbiased=False).sqrt()
    total = signed.sum(0)
    product = total * weight.double()[finite]
    return GradientStats(
        n_weights=finite.numel(),
        n_zero_variance=int((finite & ~varies).sum()),
        n_nonfinite=int((~finite).sum()),
        sum_inv_sigma=float((1 / sigma).sum()),
        sum_mu_over_sigma=float((values.mean(0)[varies] / sigma).sum()),
        sum_mean_abs_over_sigma=float((signed.abs().mean(0) / deviation)[deviation > 0].sum()) if absolute else None,
        sum_gsnr=float((signed.mean(0) ** 2 / (signed.var(0, unbiased=False) + xi)).sum()),
        sum_squared_total=float((total**2).sum()),
        sum_weight_gradient=float(product.sum()),
        sum_abs_weight_gradient=float(product.abs().sum()),
    )


def check(calls: Calls, *, conv: ConvGeometry | None = None, tolerance: float = FLOAT32, **options: Any) -> None:
    """Compare every field with the oracle, and the bits of one thread with those of two."""
    torch.set_num_threads(1)
    gradients = linear_gradients(calls) if conv is None else conv_gradients(calls, conv)
    weight = torch.randn(gradients.shape[1:], generator=torch.Generator().manual_seed(1))
    blocks = options.get("row_blocks")
    expected = stats_of(
        select_rows(gradients, blocks),
        absolute=options.get("gradient", "abs") == "abs",
        weight=select_rows(weight[None], blocks)[0],
    )
    found = gradient_stats(calls, conv=conv, totals=True, weight=weight, **options)
    torch.set_num_threads(2)
    assert gradient_stats(calls, conv=conv, totals=True, weight=weight, **options) == found
    assert_close(found, expected, tolerance)


def assert_close(found: GradientStats, expected: GradientStats, tolerance: float) -> None:
    """Counts equal, sums within the relative tolerance.

    Two sums cancel, so their rounding errors are held against the size of what is summed: w G against the sum of |w G|,
    signed mu/sigma (each below 1 in size) against the root of the number of weights, as of a random walk.
    """
    assert expected.sum_abs_weight_gradient is not None
    sizes = {"sum_weight_gradient": expected.sum_abs_weight_gradient, "sum_mu_over_sigma": expected.n_weights**0.5}
    for name, value in asdict(expected).items():
        if value is None:
            assert getattr(found, name) is None, name
            continue
        size = max(abs(value), sizes.get(name, 0.0))
        difference = abs(getattr(found, name) - value)
        assert difference <= (tolerance * size if name.startswith("sum") else 0), (name, getattr(found, name), value)
