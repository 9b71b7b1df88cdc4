"""The two matrix products of a linear call that a pass needs: its output, and the gradient of its input.

In float32 on a CPU, `F.linear` uses the BLAS that torch was built with. Two others compute the same product up to
float32 rounding, and are used in its place:

- `float_product` where the instruction set in use has it: on an Intel Xeon with AMX it took 0.5 to 0.65 of the
  time of the BLAS on the shapes of a vision transformer;
- oneDNN, where torch has it and the user has not switched it off (`torch.backends.mkldnn`): on an AMD EPYC (Zen 4),
  where the BLAS is MKL, it took 0.65 to 0.85.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.kernels import float_product, has_float_product

LEAST_SIDE = 32
"""The sides of the least matrices for `float_product`: its tiles have so many rows and columns."""
LEAST_ROWS = 256
"""Of x: with fewer, packing a large weight outweighs what the product gains (on a thread of an Intel Xeon with AMX, 1.1
to 1.4 times oneDNN at 128 rows and 192 to 768 inputs, .85 to 1.1 times at 256, .6 to .8 at 1,024)."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x (..., I) times weight (O, I) transposed, plus bias (O,) -> (..., O)."""
    if _is_dense_float(x, weight) and x.shape[-1] == weight.shape[-1]:  # else torch says what does not fit
        out = _tiled(x, weight.t(), bias) if _fits_tiles(x, weight) else None
        if out is not None:
            return out
        if _has_onednn():
            return _onednn(x, weight, bias)
    return F.linear(x, weight, bias)


def input_gradient(grad_out: Tensor, weight: Tensor) -> Tensor:
    """grad_out (..., O) times weight (O, I) -> (..., I)."""
    if _is_dense_float(grad_out, weight):
        out = _tiled(grad_out, weight, None) if _fits_tiles(grad_out, weight) else None
        if out is not None:
            return out
        if _has_onednn():
            return _onednn(grad_out, weight.t(), None)
    return grad_out @ weight


def are_transformed(*tensors: Tensor) -> bool:
    """Whether a transform of `torch.func`, or a batched backward, sees these, so that they may have no memory."""
    functorch = torch._C._functorch
    return functorch.peek_interpreter_stack() is not None or any(map(functorch.is_legacy_batchedtensor, tensors))


def _is_dense_float(x: Tensor, weight: Tensor) -> bool:
    """Whether this is a product in float32 on the CPU, with nothing empty, and torch records no derivative of it."""
    return (
        not (torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad))
        and not are_transformed(x, weight)
        and x.dtype == weight.dtype == torch.float32
        and x.device.type == weight.device.type == "cpu"
        and x.layout == weight.layout == torch.strided
        and x.dim() > 1
        and x.numel() > 0
    )


def _fits_tiles(x: Tensor, weight: Tensor) -> bool:
    """Whether `float_product` takes the operands as they are, and gains by it."""
    return (
        min(weight.shape) >= LEAST_SIDE
        and x.numel() >= LEAST_ROWS * x.shape[-1]
        and x.stride(-1) == weight.stride(-1) == 1
        and has_float_product()
    )


def _tiled(x: Tensor, matrix: Tensor, bias: Tensor | None) -> Tensor | None:
    """x (..., K) times matrix (K, N), plus bias (N,); None where an element is not finite."""
    out = float_product(x.reshape(-1, x.shape[-1]), matrix, None if bias is None else bias.contiguous())
    return None if out is None else out.view(*x.shape[:-1], matrix.shape[1])


def _has_onednn() -> bool:
    return (
        torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and torch._C._get_mkldnn_enabled()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    # The name is torch's own (its compiler emits it); the public F.linear does not offer the choice in float32.
    return cast(Tensor, torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], ""))
