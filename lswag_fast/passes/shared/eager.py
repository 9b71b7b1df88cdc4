"""Functions that were compiled run as they were written while a model is observed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def uncompiled() -> Iterator[None]:
    """Inside, what `torch.compile` made of a function runs the function itself.

    A compiled function calls kernels of its own, in which no call on a weight and no activation is seen. Before torch
    2.6 there is no switch for this: the compiler then follows the observer as far as it can.

    Example:
        >>> doubled = torch.compile(lambda x: x + x)
        >>> with uncompiled():
        ...     doubled(torch.ones(2))
        tensor([2., 2.])
    """
    dynamo = sys.modules.get("torch._dynamo")  # absent: nothing was compiled, and its import takes seconds
    switch = getattr(torch.compiler, "set_stance", None)
    if dynamo is None or switch is None:
        yield
        return
    with switch("force_eager"):
        yield
