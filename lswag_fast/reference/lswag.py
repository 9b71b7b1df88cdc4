"""The definitions, in float64 and plain torch: slow, short enough to read beside the paper, and the tests' oracle.

Paper: Casarin, Escalera, Lanz, "L-SWAG", CVPR 2025 (arXiv 2505.07300). Nothing here uses the kernels or the observer.
Index letters: b sample, t position, i input feature, o output feature, l layer, v neuron, s sample of a pattern.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# ---- gradients ----


def linear_gradients(x: Tensor, grad_out: Tensor) -> Tensor:
    """Per-sample weight gradients G_b = sum_t grad_out[b,t,:] x[b,t,:]^T of a linear call.

    x (B, ..., I) and grad_out (B, ..., O) -> (B, O, I), float64.
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
    """
    conv = F.conv1d if x.dim() == 3 else F.conv2d  # (B, C, W)
    gradients = []
    for x_b, grad_b in zip(x.double()[:, None].unbind(), grad_out.double()[:, None].unbind(), strict=True):
        weight = torch.zeros(tuple(weight_shape), dtype=torch.float64, requires_grad=True)
        out = conv(x_b, weight, None, tuple(stride), tuple(padding), tuple(dilation), groups)
        gradients.append(torch.autograd.grad(out, weight, grad_b)[0])
    return torch.stack(gradients)


def per_sample_gradients(
    model: nn.Module, batch: tuple[Any, Any], names: Iterable[str], loss: Callable[[Any, Any], Tensor] = F.cross_entropy
) -> dict[str, Tensor]:
    """Gradients of each sample's own loss, by running the model on one sample at a time: {name: (B, ...)}.

    `batch` is (inputs, targets), tensors, or tuples or dicts of tensors with samples along axis 0. The model runs as a
    float64 copy, in its own mode.
    """
    names = tuple(names)
    model = copy.deepcopy(model).double()
    parameters = dict(model.named_parameters())
    weights = [parameters[name] for name in names]
    inputs, targets = batch
    rows: list[tuple[Tensor, ...]] = []
    for b in range(_n_samples(inputs)):
        outputs = call_model(model, _sample(inputs, b))
        gradients = torch.autograd.grad(loss(outputs, _sample(targets, b)), weights, allow_unused=True)
        zeros = [torch.zeros_like(w) for w in weights]
        rows.append(tuple(z if g is None else g for g, z in zip(gradients, zeros, strict=True)))
    return {name: torch.stack([row[k] for row in rows]) for k, name in enumerate(names)}


def _n_samples(value: Any) -> int:
    first = next(iter(value.values())) if isinstance(value, Mapping) else value
    first = first[0] if isinstance(first, (tuple, list)) else first
    return int(first.shape[0])


def _sample(value: Any, b: int) -> Any:
    if isinstance(value, Mapping):
        return {key: _sample(item, b) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return tuple(_sample(item, b) for item in value)
    return as_float64(value[b : b + 1])


def as_float64(value: Any) -> Any:
    """A batch's inputs or targets with its floating-point tensors in float64."""
    if isinstance(value, Mapping):
        return {key: as_float64(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return tuple(as_float64(item) for item in value)
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value


def call_model(model: nn.Module, inputs: Any) -> Any:
    """Call the model as its inputs ask: a dict by keyword, a tuple by position."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple) else model(inputs)


# ---- statistics of per-sample gradients ----


def micro_batches(gradients: Tensor, n_groups: int) -> Tensor:
    """Sum the gradients (B, ...) within N consecutive groups of B/N samples -> (N, ...)."""
    return torch.unflatten(gradients, 0, (n_groups, -1)).sum(1)


def gradient_statistics(
    gradients: Tensor,
    weight: Tensor | None = None,
    gradient: Literal["abs", "signed"] = "abs",
    xi: float = 1e-8,
) -> dict[str, float]:
    """Every sum that `gradient_stats` gives, from per-sample gradients (B, ...).

    sigma^2 is the population variance over b of |g| ("abs", Eq. 1) or g ("signed"). Weights of zero variance are left
    out of the sums over 1/sigma. sum_gsnr, sum_squared_total, sum_weight_gradient use the signed gradient, and so does
    the sigma of sum_mean_abs_over_sigma, E|g| / sigma.
    """
    g = gradients.detach().double().flatten(1)
    values = g.abs() if gradient == "abs" else g
    mu, sigma = values.mean(0), (values - values.mean(0)).square().mean(0).sqrt()
    varies = sigma > 0
    total = g.sum(0)
    variance = (g - g.mean(0)).square().mean(0)
    w = torch.zeros_like(total) if weight is None else weight.double().flatten()
    return {
        "n_weights": g.shape[1],
        "n_zero_variance": int((sigma == 0).sum()),
        "sum_inv_sigma": float((1 / sigma[varies]).sum()),
        "sum_mu_over_sigma": float((mu[varies] / sigma[varies]).sum()),
        "sum_mean_abs_over_sigma": float((g.abs().mean(0) / variance.sqrt())[variance > 0].sum()),
        "sum_gsnr": float((g.mean(0).square() / (variance + xi)).sum()),
        "sum_squared_total": float(total.square().sum()),
        "sum_weight_gradient": float((w * total).sum()),
        "sum_abs_weight_gradient": float((w * total).abs().sum()),
    }


def trainability(gradients: Tensor, gradient: Literal["abs", "signed"] = "abs") -> float:
    """Lambda_l = ln sum_w 1/sigma_w (Eq. 1) of one layer's per-sample gradients (B, ...)."""
    return math.log(gradient_statistics(gradients, gradient=gradient)["sum_inv_sigma"])


# ---- activation patterns ----


def n_pattern_samples(n_samples: int, n_neurons: int) -> int:
    """S = min(B, ceil(log2 V) + 2), V the neurons of the largest activation (our choice; the paper names none)."""
    return min(n_samples, math.ceil(math.log2(n_neurons)) + 2)


def patterns(activation: Tensor, n_samples: int) -> set[tuple[bool, ...]]:
    """The set of neuron patterns (1[y_s > 0])_{s=1..S} of an activation (B, ...) (Eq. 7, read per neuron)."""
    bits = activation[:n_samples].flatten(1) > 0
    return {tuple(column) for column in bits.t().tolist()}


def agreement(activation: Tensor, n_samples: int) -> Tensor:
    """K[s, s'] = number of neurons on which two samples agree, (S, S), from the kernel matrix of NWOT."""
    bits = (activation[:n_samples].flatten(1) > 0).double()
    return bits @ bits.t() + (1 - bits) @ (1 - bits).t()


# ---- the score ----


def lswag(
    gradients: Sequence[Tensor],
    activations: Sequence[Tensor],
    pairs: Sequence[int],
    n_samples: int,
    combine: Literal["layerwise", "product", "log"] = "layerwise",
    gradient: Literal["abs", "signed"] = "abs",
) -> float:
    """L-SWAG from per-sample gradients of each weight, the activations (B, ...), and each weight's activation.

    "layerwise": sum_l Lambda_l Psi_l. "product": Eq. 1 read literally, with the union of the paired activations'
    patterns. "log": sum_l ln(Psi_l sum_w 1/sigma_w). `n_samples` is S.
    """
    lambdas = [trainability(g, gradient) for g in gradients]
    sets = [patterns(activations[pair], n_samples) for pair in pairs]
    if combine == "product":
        return math.fsum(lambdas) * len(set().union(*sets))
    if combine == "log":
        return math.fsum(lam + math.log(len(p)) for lam, p in zip(lambdas, sets, strict=True))
    return math.fsum(lam * len(p) for lam, p in zip(lambdas, sets, strict=True))
