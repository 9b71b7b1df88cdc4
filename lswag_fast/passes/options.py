"""The options of a pass: what is measured, on which layers and samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from torch import Tensor, nn

from lswag_fast.errors import InputError
from lswag_fast.passes.shared.loss import LossFunction, Reduction

SEEDS = 2**64  # the generator of torch takes 64 bits
PERCENTILE_BINS = 10  # PERC_BINS of Eq. 6; the last layer alone falls in bin 10


Features = str | Callable[[nn.Module, Any], Tensor | Sequence[Tensor]]
"""Where a pass takes the features from: a module's name, a pattern of names, or `f(model, inputs)`."""


@dataclass(frozen=True)
class PassOptions:
    """Checked options; the names and meanings are those of `lswag_fast.score`.

    `n_groups` is the N of variance="microbatch:N", None for variance="sample"; `xi` the constant of the gradient
    signal-to-noise ratio.
    """

    loss_fn: LossFunction | None
    loss_reduction: Reduction | None
    layers: tuple[int, int] | None
    n_groups: int | None
    gradient: Literal["abs", "signed"]
    pattern_samples: int | Literal["auto"]
    row_fraction: float
    chunk_size: int | None
    seed: int
    features: Features | None = None
    xi: float = 1e-8

    def __post_init__(self) -> None:
        """Take numpy's numbers as Python's; raise InputError for a value outside of its range."""
        for name in ("layers", "pattern_samples", "row_fraction", "chunk_size", "seed"):
            object.__setattr__(self, name, _plain(getattr(self, name)))
        if self.loss_reduction not in (None, "sum", "mean"):
            raise InputError(f"loss_reduction must be 'sum', 'mean' or None, got {self.loss_reduction!r}")
        if self.gradient not in ("abs", "signed"):
            raise InputError(f"gradient must be 'abs' or 'signed', got {self.gradient!r}")
        if self.layers is not None:
            _check_interval(self.layers)
        is_number = isinstance(self.row_fraction, (int, float)) and not isinstance(self.row_fraction, bool)
        if not is_number or not 0 < self.row_fraction <= 1:
            raise InputError(f"row_fraction must lie in (0, 1], got {self.row_fraction!r}")
        if self.pattern_samples != "auto":
            _check_count("pattern_samples", self.pattern_samples, 1)
        if self.chunk_size is not None:
            _check_count("chunk_size", self.chunk_size, 1)
        _check_count("seed", self.seed, 0)
        if self.seed >= SEEDS:
            raise InputError(f"seed must be below 2**64, got {self.seed}")

    def for_batch(self, n_samples: int, n_batches: int = 1) -> PassOptions:
        """The options for a batch of B samples, or for N batches of B samples together: those are the micro-batches,
        and go through one by one. Raises InputError for what does not fit."""
        if n_batches == 1:
            self._check_batch(n_samples)
            return self
        if self.n_groups is not None or self.chunk_size is not None:
            raise InputError("a list of batches is its own micro-batches and chunks; leave variance and chunk_size out")
        size = n_samples // n_batches
        # Published with the mean loss of each batch, whose gradients are 1/B of those of the summed loss.
        fitting = replace(self, n_groups=n_batches, chunk_size=size, xi=self.xi * size**2)
        fitting._check_batch(n_samples)
        return fitting

    def _check_batch(self, n_samples: int) -> None:
        if self.pattern_samples != "auto" and self.pattern_samples > n_samples:
            raise InputError(f"pattern_samples is {self.pattern_samples}, the batch has {n_samples} samples")
        if self.n_groups is None:
            return
        if n_samples % self.n_groups:
            raise InputError(f"variance='microbatch:{self.n_groups}' does not divide the batch of {n_samples} samples")
        if self.chunk_size is not None and self.chunk_size % (n_samples // self.n_groups):
            raise InputError(
                f"chunk_size {self.chunk_size} cuts a micro-batch; make it a multiple of {n_samples // self.n_groups}"
            )


def _plain(value: Any) -> Any:
    """The value with Python's numbers in the place of numpy's, which JSON and torch do not take."""
    if isinstance(value, np.generic):
        return value.item()
    return type(value)(map(_plain, value)) if isinstance(value, (tuple, list)) else value


def parse_variance(variance: str) -> int | None:
    """N of "microbatch:N", None for "sample"; raises InputError for anything else."""
    if variance == "sample":
        return None
    kind, _, count = str(variance).partition(":")
    if kind != "microbatch" or not count.isdecimal() or int(count) < 2:  # a variance needs two groups
        raise InputError(f"variance must be 'sample' or 'microbatch:N' with N >= 2, got {variance!r}")
    return int(count)


def _check_interval(layers: tuple[int, int]) -> None:
    if (
        not isinstance(layers, (tuple, list))
        or len(layers) != 2  # (lo, hi)
        or not all(isinstance(b, int) and not isinstance(b, bool) for b in layers)
        or not 0 <= layers[0] <= layers[1] <= PERCENTILE_BINS
    ):
        raise InputError(f"layers must be None or (lo, hi) with 0 <= lo <= hi <= {PERCENTILE_BINS}, got {layers!r}")


def _check_count(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"{name} must be an integer >= {least}, got {value!r}")
