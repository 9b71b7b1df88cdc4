"""The repeats of a score: equal parts of its batch, each with a seed of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from lswag_fast.data.batch import Batch
from lswag_fast.errors import InputError, LswagError
from lswag_fast.option_checks import is_integer
from lswag_fast.options import SEEDS, ScoreOptions

Found = TypeVar("Found")


@dataclass(frozen=True)
class Repeat:
    """One repeat.

    Attributes:
        name: which one it is, in words.
        batch: its part of the batch.
        options: with its seed.
    """

    name: str
    batch: Any
    options: ScoreOptions

    def scored_by(self, score: Callable[[Any, ScoreOptions], Found]) -> Found:
        """Return what `score(batch, options)` finds; an error of this package names the repeat."""
        try:
            return score(self.batch, self.options)
        except LswagError as error:
            raise type(error)(f"{self.name}: {error}") from error.__cause__


def repeats_of(batch: Any, options: ScoreOptions, count: int) -> list[Repeat]:
    """Return the repeats of a score on this batch; nothing for a single score.

    Raises:
        InputError: the batch cannot be cut into as many parts.

    Example:
        >>> import torch
        >>> batch = torch.zeros(8, 3), torch.arange(8)
        >>> [(repeat.name, repeat.options.seed) for repeat in repeats_of(batch, ScoreOptions(seed=5), 2)]
        [('repeat 1, samples 0 to 3', 5), ('repeat 2, samples 4 to 7', 6)]
    """
    if not is_integer(count) or count < 1:
        raise InputError(f"repeats must be a whole number of at least 1, got {count!r}")
    if count == 1:
        return []
    checked = Batch.checked(batch)
    if checked.n_batches > 1:
        raise InputError("a list of batches is one batch in micro-batches; repeats take a single batch, which they cut")
    if checked.n_samples % count or checked.n_samples < 2 * count:
        raise InputError(
            f"{count} repeats cut the batch into equal parts of two samples or more, and it has {checked.n_samples} "
            f"samples; give a multiple of {count} from {2 * count}"
        )
    size = checked.n_samples // count
    parts = [checked.take(slice(k * size, (k + 1) * size)) for k in range(count)]
    return [
        Repeat(name_of_repeat(k, size), (part.inputs, part.targets), replace(options, seed=(options.seed + k) % SEEDS))
        for k, part in enumerate(parts)
    ]


def name_of_repeat(place: int, size: int) -> str:
    """Return which repeat it is, and which samples of the batch are in its part.

    Args:
        place: its own, from 0.
        size: of the part.

    Example:
        >>> name_of_repeat(1, 4)
        'repeat 2, samples 4 to 7'
    """
    return f"repeat {place + 1}, samples {place * size} to {(place + 1) * size - 1}"
