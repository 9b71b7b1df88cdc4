"""Going on with smaller chunks when a pass runs out of memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch

from lswag_fast.data.batch import MIN_SAMPLES
from lswag_fast.errors import warn
from lswag_fast.options import ScoreOptions

T = TypeVar("T")

_CPU_MESSAGE = "can't allocate memory"  # torch's CPU allocator raises a bare RuntimeError


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on any device."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, RuntimeError) and _CPU_MESSAGE in str(error)
    )


def halving_chunks(run: Callable[[ScoreOptions], T], options: ScoreOptions, n_samples: int) -> T:
    """Run a pass; when memory runs out, say so and try again with half the chunk.

    That goes down to one micro-batch, or to two samples. The score does not depend on the chunk size, up to rounding.
    """
    group = 1 if options.n_groups is None else n_samples // options.n_groups
    least = max(group, MIN_SAMPLES)
    while True:
        try:
            return run(options)
        except (MemoryError, RuntimeError) as error:
            chunk = min(options.chunk_size or n_samples, n_samples)
            if not is_out_of_memory(error) or chunk <= least:
                raise
            smaller = max(math.ceil(chunk / 2 / group) * group, least)
        if smaller >= chunk:
            smaller = least
        warn(f"out of memory with chunks of {chunk} samples; going on with {smaller}")
        options = replace(options, chunk_size=smaller)
