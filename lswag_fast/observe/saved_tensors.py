"""Hooks on the tensors that autograd keeps for the backward pass."""

from __future__ import annotations

import torch
from torch import Tensor


def hooks_are_active() -> bool:
    """Return whether such hooks are active here, as inside of activation checkpointing and `save_on_cpu`.

    Example:
        >>> hooks_are_active()
        False
        >>> with torch.autograd.graph.save_on_cpu():
        ...     hooks_are_active()
        True
    """
    if hasattr(torch._C._autograd, "_top_saved_tensors_default_hooks"):  # since torch 2.8
        return torch._C._autograd._top_saved_tensors_default_hooks(False) is not None
    return _a_saved_tensor_has_hooks()


def _a_saved_tensor_has_hooks() -> bool:
    """The same by experiment: what is saved under active hooks has them, and takes no others.

    The hooks are called with a tensor of one element; where there are any, the model is refused anyway.
    """
    with torch.enable_grad():
        result = torch.ones((), requires_grad=True).exp()
    try:
        result.grad_fn._raw_saved_result.register_hooks(_itself, _itself)  # type: ignore[union-attr]
    except RuntimeError:
        return True
    return False


def _itself(tensor: Tensor) -> Tensor:
    return tensor
