"""From the operands of each observed call to the statistics of each weight."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import torch

from lswag_fast import kernels
from lswag_fast.observe import ObservedWeight, Operands, WeightCall
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.shared.reducer import Reducer
from lswag_fast.passes.shared.stopwatch import timed

XI = 1e-8
"""The constant in the denominator of the gradient signal-to-noise ratio (xi-GSNR)."""


@dataclass
class PieceStatistics:
    """The running statistics of one weight, or of one piece of a parameter.

    `rows` are those of the moments where a weight was looked up only: those that occurred so far. None for all.
    """

    index: int
    n_weights: int
    row_blocks: tuple[int, ...] | None
    scale: float
    moments: kernels.Moments | None = None
    rows: torch.Tensor | None = None
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
        piece = self._piece(weight)
        rows = _rows_so_far(piece, weight)
        operands = weight.gradient_operands(self._n_samples, self._group, rows)
        if self._chunked:
            self._continue(piece, weight, rows, operands[0])
        with timed("kernel"):
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
        piece = self._piece(weight)
        squares *= piece.n_weights // out.shape[-1]
        piece.squares = squares if piece.squares is None else piece.squares + squares

    def _piece(self, weight: ObservedWeight) -> PieceStatistics:
        pieces = self.pieces.setdefault(weight.name, {})
        if weight.piece not in pieces:
            blocks, scale = None, 1.0
            if not weight.looks_up:  # of a look-up the rows that occur, all of them
                key = f"{self._options.seed}/{weight.name}/{len(pieces)}"
                blocks, scale = self._rows(key, weight.view.shape[0])
            pieces[weight.piece] = PieceStatistics(weight.first_index, weight.view.numel(), blocks, scale)
        return pieces[weight.piece]

    def _continue(
        self, piece: PieceStatistics, weight: ObservedWeight, rows: torch.Tensor | None, operands: Operands
    ) -> None:
        """Make the moments those of `rows`, which hold the rows so far."""
        n_rows = weight.view.shape[0] if rows is None else len(rows)
        if piece.moments is None:
            n_columns, where = weight.view[0].numel(), weight.view.device
            piece.moments = kernels.Moments.empty(n_rows, n_columns, operands[1].dtype, self._batch_gradient, where)
        elif piece.rows is not None:
            places = piece.rows if rows is None else torch.searchsorted(rows, piece.rows)
            piece.moments = piece.moments.among(n_rows, places.long())
        piece.rows = rows

    def _rows(self, key: str, n_rows: int) -> tuple[tuple[int, ...] | None, float]:
        """A random subset of the blocks of output rows, seeded by `key`, and the factor that makes up for the rest."""
        fraction = self._options.row_fraction
        n_blocks = -(-n_rows // kernels.ROW_BLOCK)
        n_chosen = math.ceil(fraction * n_blocks)
        if n_chosen == n_blocks:
            return None, 1.0
        chosen = tuple(sorted(random.Random(key).sample(range(n_blocks), n_chosen)))
        return chosen, n_rows / sum(min(kernels.ROW_BLOCK, n_rows - b * kernels.ROW_BLOCK) for b in chosen)


def _rows_so_far(piece: PieceStatistics, weight: ObservedWeight) -> torch.Tensor | None:
    """The rows of a look-up that occurred in this chunk or before; None where all rows are used."""
    if piece.moments is not None and piece.rows is None:
        return None
    rows = weight.occurring_rows()
    if rows is None or piece.rows is None:
        return rows
    so_far: torch.Tensor = torch.unique(torch.cat([piece.rows, rows]))
    return so_far
