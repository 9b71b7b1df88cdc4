"""From the operands of each observed call to the statistics of each weight."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lswag_fast import kernels
from lswag_fast.observe import ObservedWeight, Outcome, Skipped, WeightCall
from lswag_fast.passes.options import PERCENTILE_BINS, PassOptions

Operands = tuple[Tensor, Tensor]


def percentile(position: int, n_layers: int) -> int:
    """Bin of layer l = 1..L (Eq. 6, with l/D read for the printed 1/D): 0..10, bin 10 holding only the last layer."""
    return int(position * 100 / n_layers // (100 / PERCENTILE_BINS))


@dataclass
class PieceStatistics:
    """The running statistics of one weight, or of one piece of a parameter."""

    index: int
    n_weights: int
    row_blocks: tuple[int, ...] | None
    scale: float
    moments: kernels.Moments | None
    stats: kernels.GradientStats | None = None
    fisher: float = 0.0


class Collector:
    """Receives operands during backward, runs the kernel once a weight's calls are complete, and keeps the sums."""

    def __init__(self, options: PassOptions, n_samples: int, statistics: frozenset[str]) -> None:
        self._options = options
        self._totals = "totals" in statistics
        self._group = 1 if options.n_groups is None else n_samples // options.n_groups
        self._chunked = options.chunk_size is not None and options.chunk_size < n_samples
        self.pieces: dict[str, dict[object, PieceStatistics]] = {}
        self.names: tuple[str, ...] = ()
        self.kinds: dict[str, str] = {}
        self._wanted: dict[int, ObservedWeight] = {}
        self._earliest = 0
        self._n_samples = n_samples

    def plan(self, found: Outcome, n_samples: int) -> list[Tensor]:
        """Choose the calls whose statistics are asked for; returns their anchors.

        `n_samples` is the number of samples of this forward pass (a chunk, or the whole batch).
        """
        self._n_samples = n_samples
        self.names = tuple(dict.fromkeys(weight.name for weight in found.weights))
        self.kinds = {weight.name: weight.kind for weight in found.weights}
        n_layers = len(self.names)
        inside = {name for place, name in enumerate(self.names, 1) if self._selected(percentile(place, n_layers))}
        chosen = [weight for weight in found.weights if weight.name in inside]
        self._wanted = {id(call): weight for weight in chosen for call in weight.calls}
        calls = [call for weight in chosen for call in weight.calls]
        self._earliest = min((call.index for call in calls), default=0)
        return [call.anchor for call in calls]

    def _selected(self, bin_: int) -> bool:
        interval = self._options.layers
        return interval is None or interval[0] <= bin_ <= interval[1]

    def receive(self, weight: ObservedWeight, call: WeightCall) -> bool:
        """Take the operands of one call; True when a wanted call lies further upstream."""
        if id(call) in self._wanted:
            weight.n_received += 1
            self._add_fisher(weight, call)
            if weight.n_received == len(weight.calls):
                self._reduce(weight)
        else:
            call.operands = None
        call.output = None
        return call.index > self._earliest

    def finish(self) -> tuple[Skipped, ...]:
        """Reduce the weights some of whose calls saw no gradient; list those that saw none."""
        unused: dict[str, Skipped] = {}
        for weight in {id(w): w for w in self._wanted.values()}.values():
            if 0 < weight.n_received < len(weight.calls):
                self._reduce(weight)
            elif weight.n_received == 0:
                unused[weight.name] = Skipped(weight.name, "no gradient reached it: its output is not used in the loss")
        return tuple(skip for name, skip in unused.items() if name not in self.pieces)

    def _reduce(self, weight: ObservedWeight) -> None:
        operands = [pair for call in weight.calls if call.operands for pair in self._sample_first(call)]
        piece = self._piece(weight, operands[0][1].dtype)
        piece.stats = kernels.gradient_stats(
            operands,
            conv=weight.calls[0].conv,
            gradient=self._options.gradient,
            row_blocks=piece.row_blocks,
            moments=piece.moments,
            totals=self._totals,
            weight=weight.view.detach() if self._totals else None,
            xi=self._options.xi,
        )
        for call in weight.calls:
            call.operands = None

    def _piece(self, weight: ObservedWeight, dtype: torch.dtype) -> PieceStatistics:
        pieces = self.pieces.setdefault(weight.name, {})
        if weight.piece not in pieces:
            n_rows, n_weights = weight.view.shape[0], weight.view.numel()
            blocks, scale = self._rows(f"{self._options.seed}/{weight.name}/{len(pieces)}", n_rows)
            moments = self._moments(n_rows, n_weights // n_rows, dtype)
            pieces[weight.piece] = PieceStatistics(weight.first_index, n_weights, blocks, scale, moments)
        return pieces[weight.piece]

    def _moments(self, n_rows: int, n_columns: int, dtype: torch.dtype) -> kernels.Moments | None:
        """What the statistics of later chunks continue from."""
        return kernels.Moments.empty(n_rows, n_columns, dtype, self._totals) if self._chunked else None

    def _add_fisher(self, weight: ObservedWeight, call: WeightCall) -> None:
        """Add sum_b sum_k (sum over positions of output x gradient)^2, times the weights of an output channel k."""
        if call.output is None or call.operands is None or call.layout is None:
            return
        grad_out = call.operands[1]
        out, grad_out = (call.layout.sample_first(t, self._n_samples) for t in (call.output(), grad_out))
        if call.conv is not None:
            out, grad_out = (t.movedim(-1 - len(call.conv.kernel_size), -1) for t in (out, grad_out))
        products = (out * grad_out).flatten(1, -2) if out.dim() > 2 else (out * grad_out)[:, None]  # (B, T, O)
        squares = products.sum(1, dtype=torch.float64).square().sum().item()
        piece = self._piece(weight, grad_out.dtype)
        piece.fisher += squares * (piece.n_weights // weight.view.shape[0])

    def _rows(self, key: str, n_rows: int) -> tuple[tuple[int, ...] | None, float]:
        """A random subset of the blocks of output rows, seeded by `key`, and the factor that makes up for the rest."""
        fraction = self._options.row_fraction
        n_blocks = -(-n_rows // kernels.ROW_BLOCK)
        n_chosen = math.ceil(fraction * n_blocks)
        if n_chosen == n_blocks:
            return None, 1.0
        chosen = tuple(sorted(random.Random(key).sample(range(n_blocks), n_chosen)))
        return chosen, n_rows / sum(min(kernels.ROW_BLOCK, n_rows - b * kernels.ROW_BLOCK) for b in chosen)

    def _sample_first(self, call: WeightCall) -> Iterator[Operands]:
        """View a call's operands as (B, ...); micro-batches become the samples, their members further positions."""
        if call.operands is None or call.layout is None:
            return
        x, grad_out = (self._grouped(call.layout.sample_first(t, self._n_samples)) for t in call.operands)
        if call.conv is None:
            yield x, grad_out
            return
        extra = x.dim() - len(call.conv.kernel_size) - 2
        yield from zip(_planes(x, extra), _planes(grad_out, extra), strict=True)

    def _grouped(self, tensor: Tensor) -> Tensor:
        return tensor if self._group == 1 else torch.unflatten(tensor, 0, (-1, self._group))


def _planes(tensor: Tensor, extra: int) -> Sequence[Tensor]:
    """Cut the `extra` position axes after the samples into separate (B, C, ...) tensors."""
    planes = [tensor]
    for _ in range(extra):
        planes = [part for plane in planes for part in plane.unbind(1)]
    return planes
