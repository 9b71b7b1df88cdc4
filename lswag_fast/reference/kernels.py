"""What the kernels compute: per-sample gradients of a call, their statistics, patterns of activations.

Index letters: b sample, t position, i input feature, o output feature, v neuron, s sample of a pattern.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


def linear_gradients(x: Tensor, grad_out: Tensor) -> Tensor:
    """Per-sample weight gradients G_b = sum_t grad_out[b,t,:] x[b,t,:]^T of a linear call.

    x (B, ..., I) and grad_out (B, ..., O) -> (B, O, I), float64.

    Example:
        >>> linear_gradients(torch.tensor([[1.0, 2.0]]), torch.tensor([[10.0]])).tolist()
        [[[10.0, 20.0]]]
    """
    x, grad_out = (
        tensor.double().flatten(1, -2) if tensor.dim() > 2 else tensor.double()[:, None] for tensor in (x, grad_out)
    )
    return torch.einsum("bto,bti->boi", grad_out, x)


def conv_gradients(
    x: Tensor,
    grad_out: Tensor,
    weight_shape: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Tensor:
    """Per-sample weight gradients of a conv1d or conv2d call, one sample at a time through autograd.

    x (B, C, ...) and grad_out (B, O, ...) -> (B, *weight_shape), float64.

    Example:
        >>> x, grad_out = torch.tensor([[[1.0, 2.0, 3.0]]]), torch.tensor([[[10.0, 100.0]]])
        >>> conv_gradients(x, grad_out, (1, 1, 2), (1,), (0,), (1,), 1).tolist()
        [[[[210.0, 320.0]]]]
    """
    conv = F.conv1d if x.dim() == 3 else F.conv2d  # (B, C, W)
    gradients = []
    for x_b, grad_b in zip(x.double()[:, None].unbind(), grad_out.double()[:, None].unbind(), strict=True):
        weight = torch.zeros(tuple(weight_shape), dtype=torch.float64, requires_grad=True)
        out = conv(x_b, weight, None, tuple(stride), tuple(padding), tuple(dilation), groups)
        gradients.append(torch.autograd.grad(out, weight, grad_b)[0])
    return torch.stack(gradients)


def round_to_bfloat16(values: Tensor) -> Tensor:
    """Float32 values rounded to the nearest number of 8 significant bits, ties to even, as float64.

    Example:
        >>> round_to_bfloat16(torch.tensor([1 + 2.0**-8, 1 + 3 * 2.0**-8])).tolist()
        [1.0, 1.015625]
    """
    exact = values.double()
    spacing = torch.ldexp(torch.ones_like(exact), torch.frexp(exact).exponent.clamp(min=-125) - 8)
    rounded = (exact / spacing).round() * spacing
    largest = (2 - 2.0**-7) * 2.0**127
    return torch.where(rounded.abs() > largest, torch.copysign(torch.full_like(exact, math.inf), exact), rounded)


def rounding_error(calls: Sequence[tuple[Tensor, Tensor]], feature_axis: int = -1) -> float:
    """r, the largest standard deviation of a weight's gradients that may be the rounding error of a constant.

    From every use (x, grad_out) of the weight: r = u (2 T + 8 sqrt(T)) rms_b(rms(x_b) rms(grad_out_b)), T the positions
    of grad_out in all uses together, u the unit roundoff: 2^-53 with a float64 operand, else 2^-24, that of float32. Of
    an operand that has more than 512 elements in a sample, evenly spread ones are looked at. `feature_axis` is 1 for a
    convolution. The file csrc/common/rounding.h derives it.

    Example:
        >>> rounding_error([(torch.ones(3, 5), 2 * torch.ones(3, 7))]) == 2**-24 * 10 * 2
        True
    """
    n_positions = [grad_out[0].numel() // grad_out.shape[feature_axis] for _, grad_out in calls]
    total = sum(n_positions)
    uses = list(zip(calls, n_positions, strict=True))
    if total == 0:
        return 0.0
    x_squares, grad_squares = (
        torch.stack([_mean_squares(call[k], feature_axis) * n / total for call, n in uses]).sum(0) for k in (0, 1)
    )
    size = float((x_squares * grad_squares).mean().sqrt())
    return 2.0 ** -(53 if _is_float64(calls) else 24) * (2 * total + 8 * math.sqrt(total)) * size


def least_deviation(calls: Sequence[tuple[Tensor, Tensor]], feature_axis: int = -1) -> float:
    """The least standard deviation of a weight's gradients that counts as one: 2^-87 of the largest gradient possible.

    That is max |x| max |grad_out| T, each rounded down to a power of two, of the elements that `rounding_error` looks
    at. What is less has a square that is no normal number of float32, however the gradients are scaled.

    Example:
        >>> least_deviation([(torch.ones(3, 5), 2 * torch.ones(3, 7))]) == 2**-87 * 2
        True
    """
    total = sum(grad_out[0].numel() // grad_out.shape[feature_axis] for _, grad_out in calls)
    x, grad_out = (
        max(float(_looked_at(call[k], feature_axis, lambda samples: samples.abs().amax(1)).max()) for call in calls)
        for k in (0, 1)
    )
    if not x or not grad_out:
        return 0.0
    limit = 1022 if _is_float64(calls) else 126  # a power and its inverse are normal numbers
    exponents = -_exponent(x), 24 - total.bit_length() + 1 - _exponent(grad_out)
    return math.ldexp(1.0, -63 - sum(min(max(exponent, -limit), limit) for exponent in exponents))


def _is_float64(calls: Sequence[tuple[Tensor, Tensor]]) -> bool:
    return any(operand.dtype == torch.float64 for call in calls for operand in call)


def _exponent(value: float) -> int:
    return math.frexp(value)[1] - 1


def _mean_squares(operand: Tensor, feature_axis: int) -> Tensor:
    return _looked_at(operand, feature_axis, lambda samples: samples.square().mean(1))


def _looked_at(operand: Tensor, feature_axis: int, statistic: Callable[[Tensor], Tensor]) -> Tensor:
    """A statistic of every sample (B, n) -> (B,), over the finite elements looked at, the others counting as zero."""
    samples = operand.detach().double().movedim(feature_axis, -1).flatten(1)
    samples = torch.where(samples.isfinite(), samples, 0.0)
    if samples.shape[1] == 0:
        return samples.new_zeros(len(samples))
    some = samples[:, :: samples.shape[1] // 512 | 1]
    return torch.where((some != 0).any(1), statistic(some), statistic(samples))


def is_rounding(sigma: Tensor, rounding: float) -> Tensor:
    """Whether standard deviations are rounding errors: in (r / 2^16, r].

    Far below r a gradient was never made by subtraction, and is right relative to its size.

    Example:
        >>> is_rounding(torch.tensor([2.0, 1.0, 1e-3, 1e-6]), 1.0).tolist()
        [False, True, True, False]
    """
    return (sigma > rounding * 2.0**-16) & (sigma <= rounding)


def gradient_statistics(
    gradients: Tensor,
    weight: Tensor | None = None,
    gradient: Literal["abs", "signed"] = "abs",
    xi: float = 1e-8,
    rounding: float = 0.0,
    least: float = 0.0,
) -> dict[str, float]:
    """Every statistic of `kernels.GradientStats` by name, and "n_weights", from per-sample gradients (B, ...).

    mu and sigma are mean and population standard deviation over b of |g| ("abs", L-SWAG, Eq. 1) or of g ("signed").
    Elements of the weight with a NaN or infinite gradient are counted and left out; those that never vary are left out
    of the sums that divide by a standard deviation, as are those whose standard deviation `is_rounding` or less than
    `least`: they count as never varying. `rounding` is their `rounding_error` and `least` their `least_deviation`; 0
    for exact gradients of any size. `weight` (...) is 0 where left out.

    Example:
        >>> found = gradient_statistics(torch.tensor([[1.0, 2.0], [-3.0, 2.0]]))
        >>> found["n_zero_variance"], found["sum_inv_sigma"], found["max_abs_batch_gradient"]
        (1, 1.0, 4.0)
    """
    rows = gradients.detach().double().flatten(1)
    finite = rows.isfinite().all(0)
    g = rows[:, finite]
    w = torch.zeros_like(g[0]) if weight is None else weight.detach().double().flatten()[finite]
    values = g.abs() if gradient == "abs" else g
    mu, sigma, varies = values.mean(0), _population_variance(values).sqrt(), (values != values[:1]).any(0)
    mean, variance, signed_varies = g.mean(0), _population_variance(g), (g != g[:1]).any(0)
    varies &= ~is_rounding(sigma, rounding) & (sigma >= least)
    signed_varies &= ~is_rounding(variance.sqrt(), rounding) & (variance.sqrt() >= least)
    total = g.sum(0)
    return {
        "n_weights": finite.numel(),
        "n_zero_variance": int((~varies).sum()),
        "n_nonfinite": int((~finite).sum()),
        "sum_inv_sigma": float((1 / sigma)[varies].sum()),
        "sum_mu_over_sigma": float((mu / sigma)[varies].sum()),
        "sum_gsnr": float((mean.square() / (variance + xi)).sum()),
        "sum_mean_abs_over_sigma": float((g.abs().mean(0) / variance.sqrt())[signed_varies].sum()),
        "sum_batch_gradient": float(total.sum()),
        "sum_squared_batch_gradient": float(total.square().sum()),
        "max_abs_batch_gradient": float(total.abs().max()) if total.numel() else 0.0,
        "sum_weight_gradient": float((w * total).sum()),
        "sum_abs_weight_gradient": float((w * total).abs().sum()),
    }


def _population_variance(values: Tensor) -> Tensor:
    return (values - values.mean(0)).square().mean(0)


def neuron_patterns(activation: Tensor, n_samples: int) -> set[tuple[bool, ...]]:
    """The set of neuron patterns (1[y_s > 0])_{s=1..S} of an activation (B, ...) (Eq. 7, read per neuron).

    Example:
        >>> sorted(neuron_patterns(torch.tensor([[1.0, -1.0, 2.0], [1.0, 1.0, 3.0]]), 2))
        [(False, True), (True, True)]
    """
    bits = activation[:n_samples].flatten(1) > 0
    return {tuple(column) for column in bits.t().tolist()}


def agreement(activation: Tensor, n_samples: int) -> Tensor:
    """K[s, s'] = number of neurons on which two samples agree, (S, S), from the kernel matrix of NWOT.

    Example:
        >>> agreement(torch.tensor([[1.0, -1.0, 1.0], [1.0, 1.0, -1.0]]), 2).tolist()
        [[3.0, 1.0], [1.0, 3.0]]
    """
    bits = (activation[:n_samples].flatten(1) > 0).double()
    return bits @ bits.t() + (1 - bits) @ (1 - bits).t()
