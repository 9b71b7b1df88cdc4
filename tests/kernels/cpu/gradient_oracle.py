"""What gradient_stats should return, from the definitions in `lswag_fast.reference`, and the comparison with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lswag_fast import reference
from lswag_fast.kernels import ROW_BLOCK, ConvGeometry, GradientStats, gradient_stats, statistics

Calls = Sequence[tuple[Tensor, Tensor]]

# Relative, on identical inputs: rounding of float32 sums over positions and samples averages out over the weights.
FLOAT32 = 1e-5
# Float64 differs from the oracle in the order of its sums only; 1/sigma magnifies that where a variance is small.
FLOAT64 = 1e-11


def linear_operands(size: tuple[int, int, int, int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """x and grad_out of N(0, 1), for (samples, positions, inputs, outputs)."""
    b, t, i, o = size
    return torch.randn(b, t, i, generator=generator), torch.randn(b, t, o, generator=generator)


def linear_gradients(calls: Calls) -> Tensor:
    """Per-sample gradients (B, O, I): the sum over the calls."""
    return torch.stack([reference.linear_gradients(x, grad_out) for x, grad_out in calls]).sum(0)


def conv_gradients(calls: Calls, conv: ConvGeometry) -> Tensor:
    """Per-sample gradients (B, O, C/groups * taps) of a convolution, in the order of torch's weight."""
    x, grad_out = calls[0]
    shape = (grad_out.shape[1], x.shape[1] // conv.groups, *conv.kernel_size)
    geometry = (conv.stride, conv.padding, conv.dilation, conv.groups)
    of_calls = [reference.conv_gradients(x, grad_out, shape, *geometry) for x, grad_out in calls]
    return torch.stack(of_calls).sum(0).flatten(2)


def select_rows(gradients: Tensor, row_blocks: Sequence[int] | None) -> Tensor:
    """The output rows (axis 1) of the given blocks."""
    if row_blocks is None:
        return gradients
    rows = [r for block in row_blocks for r in range(block * ROW_BLOCK, (block + 1) * ROW_BLOCK)]
    return gradients[:, [r for r in rows if r < gradients.shape[1]]]


def stats_of(
    gradients: Tensor,
    *,
    absolute: bool,
    weight: Tensor,
    xi: float = 1e-8,
    rounding: float = 0.0,
    least: float = 0.0,
) -> GradientStats:
    """The statistics of per-sample gradients (B, O, K), by their definitions; weight (O, K)."""
    values = reference.gradient_statistics(gradients, weight, "abs" if absolute else "signed", xi, rounding, least)
    n_weights = int(values.pop("n_weights"))
    if not absolute:
        del values["sum_mean_abs_over_sigma"]
    return GradientStats(n_weights, values)


def check(calls: Calls, *, conv: ConvGeometry | None = None, tolerance: float = FLOAT32, **options: Any) -> None:
    """Compare every field with the oracle, and the bits of one thread with those of two."""
    torch.set_num_threads(1)
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
    found = gradient_stats(calls, conv=conv, batch_gradient=True, weight=weight, **options)
    torch.set_num_threads(2)
    assert gradient_stats(calls, conv=conv, batch_gradient=True, weight=weight, **options) == found
    assert_close(found, expected, tolerance)


def assert_close(found: GradientStats, expected: GradientStats, tolerance: float) -> None:
    """Counts equal, the others within the relative tolerance.

    Three sums cancel, so their rounding errors are held against the size of what is summed: w G against the sum of
    |w G|, G against the root of n sum G^2 (n the number of weights), signed mu/sigma (each below 1 in size) against the
    root of n, as of a random walk.
    """
    n = expected.n_weights
    sizes = {
        "sum_weight_gradient": expected["sum_abs_weight_gradient"],
        "sum_batch_gradient": (n * expected["sum_squared_batch_gradient"]) ** 0.5,
        "sum_mu_over_sigma": n**0.5,
    }
    counts = {statistic.name for statistic in statistics() if statistic.combination == "count"}
    assert (found.n_weights, found.values.keys()) == (n, expected.values.keys())
    for name, value in expected.values.items():
        size = 0.0 if name in counts else max(abs(value), sizes.get(name, 0.0))
        assert abs(found[name] - value) <= tolerance * size, (name, found[name], value)
