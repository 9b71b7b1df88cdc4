"""Functions that were compiled run as they were written while a model is observed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def uncompiled() -> Iterator[None]:
    """Inside, what `torch.compile` made of a function runs the function itself.

    A compiled function calls kernels of its own, in which no call on a weight and no activation is seen.

    Example:
        >>> doubled = torch.compile(lambda x: x + x)
        >>> with uncompiled():
        ...     doubled(torch.ones(2))
        tensor([2., 2.])
    """
    if "torch._dynamo" not in sys.modules:  # nothing was compiled, and its import takes seconds
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
