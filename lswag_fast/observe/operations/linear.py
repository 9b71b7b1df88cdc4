"""`F.linear`: out = x W^T + b over the last axis of x (..., I), with W (O, I)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.observe.operations import products
from lswag_fast.observe.operations.operation import BoundCall, Gradients, ObservedOperation, Wants
from lswag_fast.observe.samples.axis import AxisCandidates, candidates_by_size
from lswag_fast.observe.weights import MATRIX_DIMS


def bind(
    input: Tensor,  # noqa: A002 - torch's name of the argument
    weight: Tensor,
    bias: Tensor | None = None,
) -> BoundCall | None:
    """Take the arguments as `F.linear` does; a product with a vector is none on a weight."""
    return BoundCall(input, weight, bias) if weight.dim() == MATRIX_DIMS else None


def sample_axes(x: Tensor, n_samples: int) -> AxisCandidates:
    """Every axis of (..., I) but the last, which holds features."""
    return candidates_by_size(x.shape, n_samples, range(x.dim() - 1))


def forward(call: BoundCall) -> Tensor:
    """Compute the output, (..., O)."""
    return products.linear(call.x, call.weight, call.bias)


def gradients(call: BoundCall, grad_out: Tensor, wants: Wants) -> Gradients:
    """Compute the gradients asked for from that of the output, (..., O)."""
    wants_x, wants_weight, wants_bias = wants
    n_out, n_in = call.weight.shape
    grad_x = products.input_gradient(grad_out, call.weight) if wants_x else None
    rows = grad_out.reshape(-1, n_out)
    grad_weight = rows.t() @ call.x.reshape(-1, n_in) if wants_weight else None
    return grad_x, grad_weight, rows.sum(0) if wants_bias else None


def macs(call: BoundCall, shape: torch.Size) -> int:
    """I for each element of the output."""
    return shape.numel() * call.weight.shape[1]


LINEAR = ObservedOperation("linear", (F.linear,), bind, sample_axes, forward, gradients, macs)
