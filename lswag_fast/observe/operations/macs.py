"""Counting the multiply-accumulates of a forward pass.

The calls on weights say themselves what they cost (`ObservedOperation.macs`); what else multiplies matrices, attention
first of all, is counted by the kernels of torch that it ends in, whichever function of Python or C++ asked for them.
Elementwise operations, norms, pooling, softmax and look-ups count nothing, nor do biases.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode

from lswag_fast.errors import UnsupportedModelError

aten = torch.ops.aten

Formula = Callable[..., int]
"""Takes `out`, the result of a kernel, and the kernel's own arguments."""

_ENCODER_HIDDEN = 12  # place of the first weight of the MLP, from the third argument on


def _product(out: Tensor, a: Tensor, b: Tensor, *_: Any) -> int:
    """(..., N, I) times (..., I, M)."""
    return out.numel() * a.shape[-1]


def _added_product(out: Tensor, added: Tensor, a: Tensor, b: Tensor, *_: Any) -> int:
    return _product(out, a, b)


def _sum_of_products(out: Tensor, added: Tensor, a: Tensor, b: Tensor, *_: Any) -> int:
    """(B, N, I) times (B, I, M), summed over B: `addbmm`."""
    return a.numel() * b.shape[-1]


def _inner_product(out: Tensor, a: Tensor, b: Tensor, *_: Any) -> int:
    return a.numel()


def _grouped_product(out: Tensor, a: Tensor, b: Tensor, *_: Any) -> int:
    """Rows or batches of rows (..., I), each times the matrix of its group; of two matrices, both cut along the sum."""
    if a.dim() == b.dim() == 2:  # (N, T) times (T, M), cut along T
        return a.numel() * b.shape[-1]
    return out.numel() * a.shape[-1]


def _convolution(
    out: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    *_: Any,
) -> int:
    """A kernel for each element of the output; of a transposed convolution, of the input."""
    return (x if transposed else out).numel() * weight[0].numel()


def _attention(out: Any, query: Tensor, key: Tensor, value: Tensor, *_: Any) -> int:
    """Query (..., T, E), key (..., S, E), value (..., S, D): T S (E + D) for each head, masked or causal as well."""
    n_queries = math.prod(query.shape[:-1])
    return n_queries * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def _fused_self_attention(tokens: Tensor, n_features: int) -> int:
    """Self-attention with its projections on tokens (B, T, E)."""
    rows = tokens.numel() // n_features
    return 4 * rows * n_features**2 + 2 * rows * tokens.shape[1] * n_features


def _native_attention(out: Any, query: Tensor, key: Tensor, value: Tensor, n_features: int, *_: Any) -> int:
    return _fused_self_attention(query, n_features)


def _encoder_layer(out: Tensor, tokens: Tensor, n_features: int, *rest: Any) -> int:
    hidden: Tensor = rest[_ENCODER_HIDDEN]  # (hidden, E), and its transpose behind it
    return _fused_self_attention(tokens, n_features) + 2 * (tokens.numel() // n_features) * hidden.numel()


def _recurrent_layer(out: Any, x: Tensor, weight_in: Tensor, weight_state: Tensor, *_: Any) -> int:
    """One direction of one layer over the steps x (..., I)."""
    return (x.numel() // x.shape[-1]) * (weight_in.numel() + weight_state.numel())


def _recurrent_network(out: Any, x: Tensor, weights: Sequence[Tensor], *_: Any) -> int:
    return (x.numel() // x.shape[-1]) * sum(w.numel() for w in weights if w.dim() == 2)


def _bilinear(out: Tensor, a: Tensor, weight: Tensor, b: Tensor, *_: Any) -> int:
    """a times the weight (O, I, J), and then times b."""
    return out.numel() * (a.shape[-1] + 1) * b.shape[-1]


_FORMULAS_BY_NAMES: dict[tuple[str, ...], Formula] = {
    ("mm", "bmm", "mv", "_scaled_mm", "_int_mm"): _product,
    ("addmm", "baddbmm", "addmv", "_addmm_activation"): _added_product,
    ("addbmm",): _sum_of_products,
    ("dot", "vdot"): _inner_product,
    ("_grouped_mm", "_scaled_grouped_mm"): _grouped_product,
    ("convolution", "_convolution", "convolution_overrideable"): _convolution,
    (
        "_scaled_dot_product_flash_attention", "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention",
        "_scaled_dot_product_fused_attention_overrideable", "_scaled_dot_product_attention_math_for_mps",
    ): _attention,
    ("_native_multi_head_attention",): _native_attention,
    ("_transformer_encoder_layer_fwd",): _encoder_layer,
    ("mkldnn_rnn_layer",): _recurrent_layer,
    ("_cudnn_rnn", "miopen_rnn"): _recurrent_network,
    ("_trilinear",): _bilinear,
}  # fmt: skip

FORMULAS: dict[Any, Formula] = {
    getattr(aten, name): formula
    for names, formula in _FORMULAS_BY_NAMES.items()
    for name in names
    if hasattr(aten, name)
}
"""The kernels of torch that multiply matrices, under every name that this version has for them."""


def _formula(kernel: Any) -> Formula | None:
    """The formula of a kernel, None for one that multiplies no matrices.

    Raises:
        UnsupportedModelError: an operator that calls functions (`torch.cond`), of which nothing is known.
    """
    if not isinstance(kernel, HigherOrderOperator):
        return FORMULAS.get(kernel.overloadpacket)
    if kernel.__name__ == "flex_attention":
        return _attention
    raise UnsupportedModelError(f"the multiply-accumulates inside of {kernel.__name__} cannot be counted")


class MacCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what the kernels multiply while it is active.

    Attributes:
        macs: the count so far.

    Example:
        >>> x = torch.ones(1, 2, 5, 4)  # two heads, five tokens
        >>> with torch.no_grad(), MacCounter() as counter:
        ...     out = torch.nn.functional.scaled_dot_product_attention(x, x, x)
        >>> counter.macs
        400
    """

    supports_higher_order_operators = True  # for torch, which else refuses them in a paragraph

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = 0
        self._counts = True

    def run(self, call: Callable[[], Tensor], macs: Callable[[Tensor], int]) -> Tensor:
        """Make a call, and count what `macs` says of its output rather than its kernels."""
        counted, self._counts = self._counts, False
        try:
            out = call()
        finally:
            self._counts = counted
        if counted:
            self.macs += macs(out)
        return out

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run one kernel and count it."""
        kwargs = kwargs or {}
        formula = _formula(func)
        if formula is None and torch.is_inference_mode_enabled():  # there calls arrive that elsewhere come in parts
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        out = func(*args, **kwargs)
        if formula is not None and self._counts:
            self.macs += formula(out, *args)
        return out
