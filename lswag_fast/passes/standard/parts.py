"""The parts of a batch: samples whose gradients are wanted, and samples that only the patterns need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from lswag_fast.data.batch import Batch
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.standard.patterns import WORD_BITS
from lswag_fast.passes.standard.progress import Progress

GRADIENT_STATISTICS = frozenset(("gradients", "batch_gradient", "fisher"))
"""The statistics that need a backward pass."""

_MIN_PART = 2
"""Samples of a part, be it of those without gradients: a BatchNorm in train mode takes no less."""


def parts(
    batch: Batch, options: ScoreOptions, statistics: frozenset[str], progress: Progress
) -> Iterator[tuple[Batch, frozenset[str]]]:
    """The parts that go through as batches of their own, with the statistics that each is for.

    With `gradient_samples` those samples come first, with their patterns; then without a gradient those that the
    patterns ask for beyond them. Codes are compared among all samples, which then go through together.
    """
    n_with_gradients = options.n_gradient_samples(batch.n_samples)
    of_gradients = statistics & GRADIENT_STATISTICS
    n_left = batch.n_samples - n_with_gradients
    if not of_gradients or n_left == 0:
        yield batch, statistics
        return
    first, others = batch.take(slice(n_with_gradients)), statistics - of_gradients
    if "activation_codes" in others or (others and (n_left < _MIN_PART or _needs_words(options.pattern_samples))):
        # The activations are seen, so that calls have the same numbers in both, and none of their signs is packed.
        yield first, of_gradients | {"activation_codes"}
        yield batch, others
        return
    yield first, statistics
    n_more = progress.n_patterned(options.pattern_samples) - n_with_gradients if others else 0
    if n_more > 0:
        yield batch.take(slice(n_with_gradients, n_with_gradients + max(n_more, _MIN_PART))), others


def _needs_words(pattern_samples: int | Literal["auto"]) -> bool:
    """Whether the signs of a pattern fill more than a word, which parts are not joined to."""
    return pattern_samples != "auto" and pattern_samples > WORD_BITS
