"""Names for weights that a model computes: they are called after the module whose forward is running."""

from __future__ import annotations

import sys
from collections.abc import Collection

from torch import nn


def derived_name(model: nn.Module, taken: Collection[str]) -> str:
    """`blocks.0.weight`, or `blocks.0.weight#2` and so on where that is `taken`; `weight` outside of any module.

    To be called from inside the model's forward: the innermost frame whose `self` is one of its modules counts.
    """
    base = f"{_running_module(model)}.weight".lstrip(".")
    names = (base if n == 1 else f"{base}#{n}" for n in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def _running_module(model: nn.Module) -> str:
    modules: dict[int, str] = {id(module): name for name, module in model.named_modules()}
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        owner = id(frame.f_locals.get("self"))
        if owner in modules:
            return modules[owner]
    return ""
