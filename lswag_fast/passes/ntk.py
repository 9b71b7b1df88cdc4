"""The NTK pass: one forward and one backward of all logits, and the products of the samples' gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
"""Elements of the per-sample gradients that exist at one time: 128 MiB in float64."""

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
        precision="float32",  # the condition number of a matrix of these products would be that of their rounding
    )
    reducer = GramReducer(resolved, batch.n_samples)
    seen = observed_pass(model, whole, resolved, frozenset(("gradients",)), reducer)
    if not reducer.gram:
        reasons = "; ".join(f"{skip.name}: {skip.reason}" for skip in seen.skipped)
        raise NothingObservedError(f"ntk pass: no weight could be observed{reasons and f'. {reasons}'}")
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
    gradients = PerSampleGradients(calls, conv)
    return _by_positions(gradients) if gradients.has_few_positions else _by_tiles(gradients)


@dataclass(frozen=True)
class PerSampleGradients:
    """The gradients of one weight as products, G_b = grad_out_b^T x_b for each group of channels.

    Attributes:
        calls: see `gradient_products`.
        conv: the geometry of a convolution; a linear weight is one group.
    """

    calls: Sequence[Operands]
    conv: ConvGeometry | None

    @property
    def n_samples(self) -> int:
        """B."""
        return len(self.calls[0][0])

    @property
    def n_groups(self) -> int:
        """g."""
        return 1 if self.conv is None else self.conv.groups

    @property
    def n_positions(self) -> int:
        """T, of all calls together."""
        positions = slice(1, -1) if self.conv is None else slice(2, None)
        return sum(math.prod(grad_out.shape[positions]) for _, grad_out in self.calls)

    @property
    def shape(self) -> tuple[int, int]:
        """(O, I) of a group."""
        x, grad_out = self.calls[0]
        if self.conv is None:
            return grad_out.shape[-1], x.shape[-1]
        return grad_out.shape[1] // self.n_groups, x.shape[1] // self.n_groups * math.prod(self.conv.kernel_size)

    @property
    def has_few_positions(self) -> bool:
        """Whether products between positions are cheaper than the gradients."""
        n_rows, n_columns = self.shape
        between_positions = self.n_samples * self.n_positions**2 * (n_columns + n_rows)
        return between_positions < n_columns * n_rows * (self.n_positions + self.n_samples)

    def operands(self, samples: slice, groups: slice) -> Operands:
        """x (n, g, T, I) and grad_out (n, g, T, O) of some of them; unfolded inputs may be large."""
        pairs = [_rows(x[samples], grad_out[samples], self.conv, groups) for x, grad_out in self.calls]
        x, grad_out = pairs[0] if len(pairs) == 1 else (torch.cat([pair[k] for pair in pairs], dim=2) for k in (0, 1))
        wide = torch.promote_types(torch.promote_types(x.dtype, grad_out.dtype), torch.float32)
        return x.to(wide), grad_out.to(wide)

    def tiles(self) -> Iterator[tuple[range, range]]:
        """Cut the output rows into tiles: of as many whole groups as fit, or else some of one group."""
        n_rows, n_columns = self.shape
        row_step = min(n_rows, max(1, _TILE_ELEMENTS // (self.n_samples * n_columns)))
        group_step = max(1, _TILE_ELEMENTS // (self.n_samples * n_columns * n_rows))
        for group in range(0, self.n_groups, group_step):
            for row in range(0, n_rows, row_step):
                groups = range(group, min(group + group_step, self.n_groups))
                yield groups, range(row, min(row + row_step, n_rows))


def _by_positions(gradients: PerSampleGradients) -> Tensor:
    """sum over groups and positions t, t' of (x_at . x_bt') (grad_at . grad_bt'): no gradient is formed."""
    x, grad_out = (operand.double() for operand in gradients.operands(slice(None), slice(None)))
    products = [
        (torch.einsum("gti,bgui->bgtu", x_a, x) * torch.einsum("gto,bguo->bgtu", grad_a, grad_out)).sum((1, 2, 3))
        for x_a, grad_a in zip(x, grad_out, strict=True)
    ]
    return torch.stack(products)


def _by_tiles(gradients: PerSampleGradients) -> Tensor:
    """Form the gradients of some output rows of all samples, multiply, and go on to the next rows."""
    n_samples, n_columns = gradients.n_samples, gradients.shape[1]
    where = gradients.calls[0][0].device
    total = torch.zeros(n_samples, n_samples, dtype=torch.float64, device=where)
    for groups, rows in gradients.tiles():
        tile = torch.empty(n_samples, len(groups) * len(rows) * n_columns, dtype=torch.float64, device=where)
        step = max(1, _INPUT_ELEMENTS // (len(groups) * gradients.n_positions * n_columns))
        for first in range(0, n_samples, step):
            samples = slice(first, first + step)
            x, grad_out = gradients.operands(samples, slice(groups.start, groups.stop))
            tile[samples] = torch.matmul(grad_out[..., rows.start : rows.stop].mT, x).flatten(1)
        total += tile @ tile.t()
    return total


def _rows(x: Tensor, grad_out: Tensor, conv: ConvGeometry | None, groups: slice) -> Operands:
    if conv is None:
        return x.reshape(len(x), 1, -1, x.shape[-1]), grad_out.reshape(len(x), 1, -1, grad_out.shape[-1])
    x, grad_out = (_channels(tensor, groups, conv.groups) for tensor in (x, grad_out))
    n_groups = len(range(conv.groups)[groups])
    x, grad_out = _patches(x, conv), grad_out.flatten(2)  # (n, g * I, T), (n, g * O, T)
    return torch.unflatten(x, 1, (n_groups, -1)).mT, torch.unflatten(grad_out, 1, (n_groups, -1)).mT


def _channels(tensor: Tensor, groups: slice, n_groups: int) -> Tensor:
    """The channels (n, C, ...) of some of the groups that they are in."""
    width = tensor.shape[1] // n_groups
    start, stop, _ = groups.indices(n_groups)
    return tensor[:, start * width : stop * width]


def _patches(x: Tensor, conv: ConvGeometry) -> Tensor:
    """The inputs of every position of a convolution's output: (n, C, ...) -> (n, C * kernel, T)."""
    image = x.unsqueeze(2) if len(conv.kernel_size) == 1 else x  # as unfold takes it: (n, C, H, W)
    kernel, dilation, padding, stride = (
        tuple(_two_axes(values, neutral))
        for values, neutral in ((conv.kernel_size, 1), (conv.dilation, 1), (conv.padding, 0), (conv.stride, 1))
    )
    return F.unfold(image, kernel, dilation, padding, stride)


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
