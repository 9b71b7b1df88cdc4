"""Several linear maps side by side, one for each group of features: what `bmm` or `einsum` with a 3-d weight computes.

torch has no function of this name; products of matrices that amount to it are run through this one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lswag_fast.kernels import ConvGeometry
from lswag_fast.observe.operations.operation import BoundCall, Gradients, ObservedOperation, Wants
from lswag_fast.observe.samples.axis import AxisCandidates, candidates_by_size


def grouped_linear(x: Tensor, weight: Tensor) -> Tensor:
    """x (..., G, I) times weight (G * O, I), the rows of group after group, -> (..., G, O).

    Example:
        >>> grouped_linear(torch.ones(5, 2, 3), torch.ones(8, 3)).shape
        torch.Size([5, 2, 4])
    """
    return torch.einsum("...gi,goi->...go", x, torch.unflatten(weight, 0, (x.shape[-2], -1)))


def bind(x: Tensor, weight: Tensor) -> BoundCall:
    """Take the arguments as `grouped_linear` does."""
    return BoundCall(x, weight, None)


def sample_axes(x: Tensor, n_samples: int) -> AxisCandidates:
    """Every axis of (..., G, I) but the last two."""
    return candidates_by_size(x.shape, n_samples, range(x.dim() - 2))


def forward(call: BoundCall) -> Tensor:
    """Compute the output, (..., G, O)."""
    return grouped_linear(call.x, call.weight)


def gradients(call: BoundCall, grad_out: Tensor, wants: Wants) -> Gradients:
    """Compute the gradients asked for from that of the output, (..., G, O)."""
    wants_x, wants_weight, _ = wants
    weight = torch.unflatten(call.weight, 0, (call.x.shape[-2], -1))
    grad_x = torch.einsum("...go,goi->...gi", grad_out, weight) if wants_x else None
    grad_weight = None
    if wants_weight:
        rows, rows_out = call.x.flatten(0, -3), grad_out.flatten(0, -3)
        grad_weight = torch.einsum("tgo,tgi->goi", rows_out, rows).flatten(0, 1)
    return grad_x, grad_weight, None


def macs(call: BoundCall, shape: torch.Size) -> int:
    """I for each element of the output."""
    return shape.numel() * call.weight.shape[1]


def weight_operands(x: Tensor, grad_out: Tensor, geometry: ConvGeometry | None) -> tuple[Tensor, Tensor]:
    """(B, ..., G, I) and (B, ..., G, O) as the channels of one axis of positions, (B, G * I, T) and (B, G * O, T)."""
    return _channels_first(x), _channels_first(grad_out)


def kernel_geometry(geometry: ConvGeometry | None, shape: torch.Size) -> ConvGeometry:
    """To the kernels it is a convolution with one tap, in groups."""
    return ConvGeometry((1,), (1,), (0,), (1,), shape[-2])


def _channels_first(tensor: Tensor) -> Tensor:
    positions = tensor[:, None] if tensor.dim() == 3 else tensor.flatten(1, -3)  # (B, T, G, features)
    return positions.flatten(2).transpose(1, 2)


GROUPED_LINEAR = ObservedOperation(
    kind="grouped_linear",
    functions=(grouped_linear,),
    bind=bind,
    sample_axes=sample_axes,
    forward=forward,
    gradients=gradients,
    macs=macs,
    weight_operands=weight_operands,
    kernel_geometry=kernel_geometry,
)
