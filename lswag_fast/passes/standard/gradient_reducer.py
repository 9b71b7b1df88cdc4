"""From the operands of each observed call to the statistics of each weight."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import torch

from lswag_fast import kernels
from lswag_fast.observe import ObservedWeight, WeightCall
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.shared.reducer import Reducer

XI = 1e-8
"""The constant in the denominator of the gradient signal-to-noise ratio (xi-GSNR)."""


@dataclass
class PieceStatistics:
    """The running statistics of one weight, or of one piece of a parameter."""

    index: int
    n_weights: int
    row_blocks: tuple[int, ...] | None
    scale: float
    moments: kernels.Moments | None
    pending: kernels.PendingStats | None = None
    squares: torch.Tensor | None = None

    @property
    def fisher(self) -> float:
        """See `GradientReducer.reduce_call`; waits for the device, too."""
        return 0.0 if self.squares is None else float(self.squares)

    @property
    def stats(self) -> kernels.GradientStats | None:
        """The statistics so far; read them at the end of a pass, since that waits for the device."""
        return None if self.pending is None else self.pending.result()


class GradientReducer(Reducer):
    """Runs the kernel on each weight, and keeps the statistics."""

    def __init__(self, options: ScoreOptions, n_samples: int, statistics: frozenset[str], xi: float = XI) -> None:
        super().__init__(options, n_samples)
        self._xi = xi
        self._batch_gradient = "batch_gradient" in statistics
        self._group = 1 if options.n_groups is None else n_samples // options.n_groups
        self._chunked = options.chunk_size is not None and options.chunk_size < n_samples
        self.pieces: dict[str, dict[object, PieceStatistics]] = {}

    def reduce_weight(self, weight: ObservedWeight) -> None:
        """Add the weight's gradients to its statistics."""
        rows = None if self._chunked else weight.occurring_rows()
        operands = weight.gradient_operands(self._n_samples, self._group, rows)
        piece = self._piece(weight, operands[0][1].dtype)
        piece.pending = kernels.start_gradient_stats(
            operands,
            conv=weight.conv,
            gradient=self._options.gradient,
            row_blocks=piece.row_blocks,
            moments=piece.moments,
            batch_gradient=self._batch_gradient,
            weight=weight.view.detach()[slice(None) if rows is None else rows] if self._batch_gradient else None,
            xi=self._xi,
        )

    def reduce_call(self, weight: ObservedWeight, call: WeightCall) -> None:
        """Add sum_b sum_k (sum over positions of output x gradient)^2, times the weights of an output channel k."""
        pair = call.output_and_gradient(self._n_samples)
        if pair is None:
            return
        out, grad_out = pair
        products = (out * grad_out).flatten(1, -2) if out.dim() > 2 else (out * grad_out)[:, None]  # (B, T, O)
        squares = products.sum(1, dtype=torch.float64).square().sum()
        piece = self._piece(weight, grad_out.dtype)
        squares *= piece.n_weights // out.shape[-1]
        piece.squares = squares if piece.squares is None else piece.squares + squares

    def _piece(self, weight: ObservedWeight, dtype: torch.dtype) -> PieceStatistics:
        pieces = self.pieces.setdefault(weight.name, {})
        if weight.piece not in pieces:
            n_rows, n_weights = weight.view.shape[0], weight.view.numel()
            blocks, scale = None, 1.0
            if not weight.looks_up:  # of a look-up the rows that occur, all of them
                blocks, scale = self._rows(f"{self._options.seed}/{weight.name}/{len(pieces)}", n_rows)
            moments = self._moments(n_rows, n_weights // n_rows, dtype, weight.view.device)
            pieces[weight.piece] = PieceStatistics(weight.first_index, n_weights, blocks, scale, moments)
        return pieces[weight.piece]

    def _moments(self, n_rows: int, n_columns: int, dtype: torch.dtype, device: torch.device) -> kernels.Moments | None:
        """What the statistics of later chunks continue from."""
        return kernels.Moments.empty(n_rows, n_columns, dtype, self._batch_gradient, device) if self._chunked else None

    def _rows(self, key: str, n_rows: int) -> tuple[tuple[int, ...] | None, float]:
        """A random subset of the blocks of output rows, seeded by `key`, and the factor that makes up for the rest."""
        fraction = self._options.row_fraction
        n_blocks = -(-n_rows // kernels.ROW_BLOCK)
        n_chosen = math.ceil(fraction * n_blocks)
        if n_chosen == n_blocks:
            return None, 1.0
        chosen = tuple(sorted(random.Random(key).sample(range(n_blocks), n_chosen)))
        return chosen, n_rows / sum(min(kernels.ROW_BLOCK, n_rows - b * kernels.ROW_BLOCK) for b in chosen)
