"""The two matrix products of a linear call that a pass needs: its output, and the gradient of its input.

In float32 on a CPU, `F.linear` uses the BLAS that torch was built with, although torch also carries oneDNN. On an AMD
EPYC (Zen 4), where that BLAS is MKL, oneDNN took 0.65 to 0.85 of its time on the shapes of a vision transformer. Both
compute the same product up to float32 rounding; oneDNN is used where torch has it and the user has not switched it
off (`torch.backends.mkldnn`).
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x (..., I) times weight (O, I) transposed, plus bias (O,) -> (..., O)."""
    if _has_onednn(x, weight) and x.shape[-1] == weight.shape[-1]:  # else torch says what does not fit
        return _onednn(x, weight, bias)
    return F.linear(x, weight, bias)


def input_gradient(grad_out: Tensor, weight: Tensor) -> Tensor:
    """grad_out (..., O) times weight (O, I) -> (..., I)."""
    if _has_onednn(grad_out, weight):
        return _onednn(grad_out, weight.t(), None)
    return grad_out @ weight


def _has_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN can take this product as it is: dense float32 on the CPU, nothing empty."""
    return (
        x.dtype == weight.dtype == torch.float32
        and x.device.type == "cpu"
        and x.dim() > 1
        and x.numel() > 0
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and torch._C._get_mkldnn_enabled()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    # The name is torch's own (its compiler emits it); the public F.linear does not offer the choice in float32.
    return cast(Tensor, torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], ""))
