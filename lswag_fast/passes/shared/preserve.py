"""Preserving a model: whatever a pass does to it, or to the process, is undone, also after an exception."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lswag_fast.random_state import RandomState, seed_all

_ONE_PASS_AT_A_TIME = threading.RLock()
"""Random state and thread pools belong to the process, so concurrent passes take turns."""


_CONTAINERS = (dict, list, set)


class ModelSnapshot:
    """The state of a model: attributes of every module, buffers, gradients and `requires_grad` flags.

    Parameter values are not copied up front (that would double the memory of large models): call `protect` before a
    parameter is written.
    """

    def __init__(self, model: nn.Module) -> None:
        self._modules = [(module, _attributes(module)) for module in model.modules()]
        self._buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
        self._parameters = dict(model.named_parameters())
        self._data = {name: p.data for name, p in self._parameters.items()}
        self._flags = {name: p.requires_grad for name, p in self._parameters.items()}
        self._grads = {name: (p.grad, _copy(p.grad)) for name, p in self._parameters.items()}
        self._values: dict[str, Tensor] = {}

    def protect(self, name: str) -> None:
        """Keep the current value of a parameter that is about to be written."""
        if name not in self._values:
            self._values[name] = self._data[name].clone()

    def restore(self) -> None:
        """Put everything back as it was."""
        with torch.no_grad():
            for buffer, value in self._buffers:
                _put_back(buffer, value)
            for name, parameter in self._parameters.items():
                self._restore_parameter(name, parameter)
        for module, attributes in self._modules:
            _restore_attributes(module, attributes)

    def _restore_parameter(self, name: str, parameter: nn.Parameter) -> None:
        data = self._data[name]
        if parameter.data_ptr() != data.data_ptr():
            parameter.data = data
        if name in self._values:
            parameter.copy_(self._values[name])
        parameter.requires_grad_(self._flags[name])
        grad, value = self._grads[name]
        parameter.grad = grad
        if grad is not None and value is not None:
            _put_back(grad, value)


def _put_back(tensor: Tensor, value: Tensor) -> None:
    """Write only what changed: a write would forbid the backward of a graph that the user still holds."""
    if tensor.layout != torch.strided or not torch.equal(tensor, value):
        tensor.copy_(value)


def _copy(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach().clone()


Attributes = tuple[dict[str, Any], dict[str, Any]]
"""The attributes of a module, and copies of those that are containers and not empty."""


def _attributes(module: nn.Module) -> Attributes:
    """The module's attributes; its containers (parameters, buffers, hooks, the user's own) one level deeper.

    Most containers of a module are empty. They are not copied: thousands of new objects would wake Python's garbage
    collector.
    """
    attributes = vars(module).copy()
    return attributes, {k: v.copy() for k, v in attributes.items() if isinstance(v, _CONTAINERS) and v}


def _restore_attributes(module: nn.Module, saved: Attributes) -> None:
    attributes, contents = saved
    vars(module).clear()
    vars(module).update(attributes)
    for key, value in attributes.items():
        content = contents.get(key, ())
        if isinstance(value, _CONTAINERS) and (value or content):
            value.clear()
            value.extend(content) if isinstance(value, list) else value.update(content)


@contextmanager
def preserve_model_state(model: nn.Module, seed: int) -> Iterator[ModelSnapshot]:
    """Hand the model to a pass, and put it back as it was at the end.

    Inside, random numbers start from `seed`. On exit, also by an exception, the modules' attributes and modes, the
    buffers, gradients and `requires_grad` flags, and the random state of torch, numpy and Python are what they were. A
    parameter that is written in place needs `protect` first. Passes of several threads take turns.

    Args:
        model: the user's model.
        seed: 0 <= seed < 2**64.

    Yields:
        The snapshot. `snapshot.protect(name)` keeps the value of a parameter before it is written; the values of all
            would
        double the memory of a large model.

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(3, 2)
        >>> before = model.weight.detach().clone()
        >>> with preserve_model_state(model, seed=0) as snapshot:
        ...     snapshot.protect("weight")
        ...     _ = model.eval().weight.data.zero_()
        >>> model.training, torch.equal(model.weight, before)
        (True, True)
    """
    with _ONE_PASS_AT_A_TIME, _random_state(seed):
        snapshot = ModelSnapshot(model)
        try:
            yield snapshot
        finally:
            snapshot.restore()


@contextmanager
def _random_state(seed: int) -> Iterator[None]:
    state = RandomState()
    try:
        seed_all(seed)
        yield
    finally:
        state.restore()


def freeze(model: nn.Module) -> None:
    """Ask no gradient of any parameter; the observer's anchors start the graph instead."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
