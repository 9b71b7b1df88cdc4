"""The NTK pass: one forward and one backward of all logits, and the products of the samples' gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast.data.batch import Batch
from lswag_fast.errors import InputError, NothingObservedError
from lswag_fast.kernels import ConvGeometry
from lswag_fast.observe import ObservedWeight, Operands
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.registry import Pass
from lswag_fast.passes.shared.checks import refuse_chunks
from lswag_fast.passes.shared.outputs import find_logits, real
from lswag_fast.passes.shared.reducer import Reducer
from lswag_fast.passes.standard.observed_pass import observed_pass

_TILE_ELEMENTS = 2**24
"""Elements of the per-sample gradients that exist at one time: 64 MiB in float32."""

_INPUT_ELEMENTS = 2**20
"""Elements of the inputs that are unfolded at one time, for at least one sample: 4 MiB, near the cache."""


@dataclass(frozen=True)
class NtkMeasurements:
    """The products of the samples' gradients.

    Attributes:
        gram: by weight, in the order of backward, (B, B) float64 with <G_a, G_b>, G_b the gradient of the sum of sample
            b's logits in that weight. The neural tangent kernel is their sum.
    """

    gram: dict[str, Tensor]


def run_ntk(model: nn.Module, batch: Batch, options: ScoreOptions, statistics: frozenset[str]) -> NtkMeasurements:
    """Differentiate the sum of all logits, in the model's own mode, and multiply the samples' gradients.

    With samples that depend on each other, by a BatchNorm in train mode or otherwise (see `lswag_fast.score`), a
    sample's gradient is its share of the batch gradient, and a warning says so. A list of batches goes through as one.
    `options.layers` chooses the weights.

    Raises:
        InputError: outputs without logits, or a chunk size.
        NothingObservedError: no weight could be observed.
    """
    refuse_chunks(options, "ntk")
    whole = replace(batch, n_batches=1)
    resolved = replace(
        options,
        loss_fn=_sum_of_logits,
        loss_reduction=None,
        class_axis=None,
        ignore_index=None,
        variance="sample",
        gradient_samples="auto",
    )
    reducer = GramReducer(resolved, batch.n_samples)
    seen = observed_pass(model, whole, resolved, frozenset(("gradients",)), reducer)
    if not reducer.gram:
        reasons = "; ".join(f"{skip.name}: {skip.reason}" for skip in seen.skipped)
        raise NothingObservedError(f"ntk pass: no weight could be observed. {reasons}")
    return NtkMeasurements(reducer.gram)


def _sum_of_logits(outputs: Any, targets: Any) -> Tensor:
    logits = find_logits(outputs)
    if logits is None or logits.dim() < 2:  # (B, C, ...)
        raise InputError(f"the ntk pass needs logits (B, C); the model returned {type(outputs).__name__} without them")
    return real(logits).flatten(1).sum(1)


class GramReducer(Reducer):
    """Adds up the products <G_a, G_b> of each weight."""

    def __init__(self, options: ScoreOptions, n_samples: int) -> None:
        super().__init__(options, n_samples)
        self.gram: dict[str, Tensor] = {}

    def reduce_weight(self, weight: ObservedWeight) -> None:
        """Add the products of the gradients of one weight, or of one piece of a parameter."""
        found = gradient_products(weight.gradient_operands(self._n_samples, rows=weight.occurring_rows()), weight.conv)
        known = self.gram.get(weight.name)
        self.gram[weight.name] = found if known is None else known + found


def gradient_products(calls: Sequence[Operands], conv: ConvGeometry | None) -> Tensor:
    """<G_a, G_b> of the per-sample gradients of one weight.

    Args:
        calls: the uses of the weight, as for `kernels.gradient_stats`: x (B, positions..., I) and grad_out
            (B, positions..., O), or of a convolution x (B, C, ...) and grad_out (B, O, ...).
        conv: the geometry of a convolution; None for a linear weight.

    Returns:
        (B, B) float64.

    Example:
        >>> x, grad_out = torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [1.0]])  # G_0 = 3, G_1 = 2
        >>> gradient_products([(x, grad_out)], None).tolist()
        [[9.0, 6.0], [6.0, 4.0]]
    """
    n_groups = 1 if conv is None else conv.groups
    n_samples = len(calls[0][0])
    products = (_group_products(partial(_as_rows, calls, conv, group), n_samples) for group in range(n_groups))
    return reduce(torch.add, products)


Rows = Callable[[slice], Operands]
"""Gives x (n, T, I) and grad_out (n, T, O) of some samples. Called when needed: unfolded inputs may be large."""


def _group_products(rows: Rows, n_samples: int) -> Tensor:
    """By the cheaper of two ways."""
    x, grad_out = rows(slice(1))
    (n_positions, n_columns), n_rows = x.shape[1:], grad_out.shape[2]
    by_positions = (n_samples * n_positions) ** 2 * (n_columns + n_rows)
    by_tiles = n_samples * n_columns * n_rows * (n_positions + n_samples)
    return _by_positions(rows, n_samples) if by_positions < by_tiles else _by_tiles(rows, n_samples)


def _by_positions(rows: Rows, n_samples: int) -> Tensor:
    """sum over positions t, t' of (x_at . x_bt') (grad_at . grad_bt'): no gradient is formed."""
    x, grad_out = (operand.double() for operand in rows(slice(n_samples)))
    products = [
        (torch.einsum("ti,bui->btu", x_a, x) * torch.einsum("to,buo->btu", grad_a, grad_out)).sum((1, 2))
        for x_a, grad_a in zip(x, grad_out, strict=True)
    ]
    return torch.stack(products)


def _by_tiles(rows: Rows, n_samples: int) -> Tensor:
    """Form G_b = grad_out^T x for some output rows of all samples, multiply, and go on to the next rows."""
    x, grad_out = rows(slice(1))
    (n_positions, n_columns), n_rows = x.shape[1:], grad_out.shape[2]
    row_step = max(1, _TILE_ELEMENTS // (n_samples * n_columns))
    sample_step = max(1, _INPUT_ELEMENTS // (n_positions * n_columns))
    total = torch.zeros(n_samples, n_samples, dtype=torch.float64, device=x.device)
    for start in range(0, n_rows, row_step):
        stop = min(start + row_step, n_rows)
        tile = x.new_empty(n_samples, stop - start, n_columns)
        for first in range(0, n_samples, sample_step):
            samples = slice(first, first + sample_step)
            x, grad_out = rows(samples)
            torch.bmm(grad_out[:, :, start:stop].transpose(1, 2), x, out=tile[samples])
        gradients = tile.flatten(1).double()
        total += gradients @ gradients.t()
    return total


def _as_rows(calls: Sequence[Operands], conv: ConvGeometry | None, group: int, samples: slice) -> Operands:
    """x (n, T, I) and grad_out (n, T, O) of a group of channels, the positions of all calls one after the other."""
    pairs = [_rows(x[samples], grad_out[samples], conv, group) for x, grad_out in calls]
    x, grad_out = pairs[0] if len(pairs) == 1 else (torch.cat([pair[k] for pair in pairs], dim=1) for k in (0, 1))
    wide = torch.promote_types(torch.promote_types(x.dtype, grad_out.dtype), torch.float32)
    return x.to(wide), grad_out.to(wide)


def _rows(x: Tensor, grad_out: Tensor, conv: ConvGeometry | None, group: int) -> Operands:
    if conv is None:
        return x.reshape(len(x), -1, x.shape[-1]), grad_out.reshape(len(x), -1, grad_out.shape[-1])
    x, grad_out = (tensor.chunk(conv.groups, dim=1)[group] for tensor in (x, grad_out))  # (n, channels, ...)
    return _patches(x, conv), grad_out.flatten(2).transpose(1, 2)


def _patches(x: Tensor, conv: ConvGeometry) -> Tensor:
    """The inputs of every position of a convolution's output: (n, C, ...) -> (n, T, C * kernel)."""
    image = x.unsqueeze(2) if len(conv.kernel_size) == 1 else x  # as unfold takes it: (n, C, H, W)
    kernel, dilation, padding, stride = (
        tuple(_two_axes(values, neutral))
        for values, neutral in ((conv.kernel_size, 1), (conv.dilation, 1), (conv.padding, 0), (conv.stride, 1))
    )
    return F.unfold(image, kernel, dilation, padding, stride).transpose(1, 2)


def _two_axes(values: Sequence[int], neutral: int) -> Iterator[int]:
    if len(values) == 1:
        yield neutral
    yield from values


PASS = Pass(
    "ntk",
    run_ntk,
    ("gram",),
    "one forward and one backward of the sum of all logits, observed; products of the samples' gradients",
)
