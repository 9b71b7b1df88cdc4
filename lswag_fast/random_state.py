"""The global generators of random numbers, of torch, numpy and Python together, and numbers drawn from one's own."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


class RandomState:
    """The state of the global generators of torch, numpy and Python when it is made.

    Example:
        >>> state = RandomState()
        >>> first = torch.rand(3)
        >>> state.restore()
        >>> torch.equal(first, torch.rand(3))
        True
    """

    def __init__(self) -> None:
        self._python, self._numpy, self._torch = random.getstate(), np.random.get_state(), torch.get_rng_state()
        is_initialized: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        self._cuda: list[Any] | None = torch.cuda.get_rng_state_all() if is_initialized else None

    def restore(self) -> None:
        """Continue from this state."""
        random.setstate(self._python)
        np.random.set_state(self._numpy)  # the global state, which the user's model may draw from
        torch.set_rng_state(self._torch)
        if self._cuda is not None:
            torch.cuda.set_rng_state_all(self._cuda)


def drawn_normal(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """N(0, 1) in float32 on the CPU, whatever the default dtype and device: the same numbers for each of them.

    Example:
        >>> drawn_normal((2, 3), torch.Generator().manual_seed(0)).shape
        torch.Size([2, 3])
    """
    return torch.randn(shape, generator=generator, dtype=torch.float32, device="cpu")


def seed_all(seed: int) -> None:
    """Seed the global generators of torch, numpy and Python."""
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed a CUDA that is yet to be initialised
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # the user's model may draw from it
