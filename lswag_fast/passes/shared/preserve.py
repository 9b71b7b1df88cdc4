"""Preserving a model: whatever a pass does to it, or to the process, is undone, also after an exception."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property
from operator import is_
from typing import Any

import torch
from torch import Tensor, nn

from lswag_fast.errors import UnsupportedModelError
from lswag_fast.observe.modules import buffers, named_modules, named_parameters
from lswag_fast.observe.writes import WriteGuard
from lswag_fast.random_state import RandomState, seed_all

_ONE_PASS_AT_A_TIME = threading.RLock()
"""Random state and thread pools belong to the process, so concurrent passes take turns."""


_CONTAINERS = (dict, list, set)


class ModelSnapshot:
    """The state of a model: attributes of every module, buffers, gradients and `requires_grad` flags.

    The values of parameters, and of tensors that are plain attributes of a module, are not copied up front (that would
    double the memory of large models): call `protect` before a parameter is written, or `protect_memory`.
    """

    def __init__(self, model: nn.Module) -> None:
        modules = named_modules(model)
        self._modules = [(module, _attributes(module)) for _, module in modules]
        self._buffers = [(buffer, buffer.detach().clone()) for buffer in buffers(modules)]
        self._parameters = named_parameters(modules)
        self._data = {name: p.data for name, p in self._parameters.items()}
        self._versions = {name: p._version for name, p in self._parameters.items() if not p.is_inference()}
        self._flags = {name: p.requires_grad for name, p in self._parameters.items()}
        self._grads = {
            name: (p.grad, None if p.grad is None else _copy(p.grad)) for name, p in self._parameters.items()
        }
        self._values: dict[str, Tensor] = {}

    def protect(self, name: str) -> None:
        """Keep the current value of a parameter that is about to be written."""
        if name not in self._values:
            self._values[name] = _copy(self._data[name] if name in self._data else self._plain[name])

    def protect_memory(self, tensor: Tensor) -> None:
        """Keep the values of what shares its memory with a tensor that is about to be written, be it by `detach`."""
        if (memory := _memory(tensor)) is not None:
            for name in self._by_memory.get(memory, ()):
                self.protect(name)

    def watch(self) -> WriteGuard:
        """Make what keeps each parameter before a call writes it: a context manager around the model's forward.

        It is the innermost of the modes: those of `lswag_fast.observe` rely on no mode being around them when they look
        into a call.
        """
        return WriteGuard(self.protect_memory)

    @cached_property
    def _plain(self) -> dict[str, Tensor]:
        """The tensors that are attributes of a module without being parameters or buffers; made for the first write."""
        return {
            f"{key} of module {place}": value
            for place, (_, (attributes, _)) in enumerate(self._modules)
            for key, value in attributes.items()
            if isinstance(value, Tensor)
        }

    @cached_property
    def _by_memory(self) -> dict[int, list[str]]:
        """The names by memory; several parameters may lie in one, as those of an LSTM on a GPU do."""
        names: dict[int, list[str]] = {}
        for name, tensor in (*self._data.items(), *self._plain.items()):
            if (memory := _memory(tensor)) is not None:
                names.setdefault(memory, []).append(name)
        return names

    def check(self) -> None:
        """Raise UnsupportedModelError where a parameter was written that nobody announced, so that it is lost."""
        written = (name for name, version in self._versions.items() if self._parameters[name]._version != version)
        lost = [name for name in written if name not in self._values]
        if lost:
            raise UnsupportedModelError(
                f"the model wrote into {', '.join(lost[:3])}{', ...' if len(lost) > 3 else ''} by a call that torch "
                "does not show (scripted code, an extension), and the old values are lost: load them again, and score "
                "a model that does not write its weights"
            )

    def restore(self) -> None:
        """Put everything back as it was."""
        with torch.no_grad():
            for buffer, value in self._buffers:
                _put_back(buffer, value)
            for name, parameter in self._parameters.items():
                self._restore_parameter(name, parameter)
            for name in self._values.keys() - self._data.keys():
                _put_back(self._plain[name], self._values[name])
        for module, attributes in self._modules:
            _restore_attributes(module, attributes)

    def _restore_parameter(self, name: str, parameter: nn.Parameter) -> None:
        data = self._data[name]
        if parameter.data_ptr() != data.data_ptr():
            parameter.data = data
        if name in self._values:
            _put_back(parameter, self._values[name])
        parameter.requires_grad_(self._flags[name])
        grad, value = self._grads[name]
        parameter.grad = grad
        if grad is not None and value is not None:
            _put_back(grad, value)


def _put_back(tensor: Tensor, value: Tensor) -> None:
    """Write only what changed: a write would forbid the backward of a graph that the user still holds."""
    if tensor.layout != torch.strided or not torch.equal(tensor, value):
        tensor.copy_(value)


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().clone()


def _memory(tensor: Tensor) -> int | None:
    """The address of the memory that a tensor lies in; None where there is none: no elements, sparse, under vmap."""
    if tensor.layout != torch.strided or torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        return None
    return tensor.untyped_storage().data_ptr() or None


Attributes = tuple[dict[str, Any], dict[str, Any]]
"""The attributes of a module, and copies of those that are containers and not empty."""


def _attributes(module: nn.Module) -> Attributes:
    """The module's attributes; its containers (parameters, buffers, hooks, the user's own) one level deeper.

    Most containers of a module are empty. They are not copied: thousands of new objects would wake Python's garbage
    collector.
    """
    attributes, contents = vars(module).copy(), {}
    for key, value in attributes.items():
        if isinstance(value, _CONTAINERS) and value:
            contents[key] = value.copy()
    return attributes, contents


def _restore_attributes(module: nn.Module, saved: Attributes) -> None:
    attributes, contents = saved
    if not _are_same(vars(module), attributes):
        vars(module).clear()
        vars(module).update(attributes)
    for key, value in attributes.items():
        if isinstance(value, _CONTAINERS) and (value or key in contents):
            content = contents.get(key, ())
            value.clear()
            value.extend(content) if isinstance(value, list) else value.update(content)


def _are_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two dicts hold the same objects under the same keys in the same order."""
    return len(one) == len(other) and all(map(is_, one, other)) and all(map(is_, one.values(), other.values()))


@contextmanager
def preserve_model_state(model: nn.Module, seed: int, *, watched: bool = True) -> Iterator[ModelSnapshot]:
    """Hand the model to a pass, and put it back as it was at the end.

    Inside, random numbers start from `seed`. On exit, also by an exception, the modules' attributes and modes, the
    parameters, buffers, gradients and `requires_grad` flags, and the random state of torch, numpy and Python are what
    they were. Parameters are copied when they are written: the values of all would double the memory of a large model.
    Passes of several threads take turns.

    Args:
        model: the user's model.
        seed: 0 <= seed < 2**64.
        watched: whether each call of torch is looked at for what it writes; without, the pass looks itself
            (`snapshot.watch()`) or says what is about to be written.

    Yields:
        The snapshot. `snapshot.protect(name)` keeps the value of a parameter, `snapshot.protect_memory(tensor)` of
        those that share its memory.

    Raises:
        UnsupportedModelError: a parameter was written by something that torch does not show, and cannot be put back.

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(3, 2)
        >>> before = model.weight.detach().clone()
        >>> with preserve_model_state(model, seed=0):
        ...     _ = model.eval().weight.data.zero_()
        >>> model.training, torch.equal(model.weight, before)
        (True, True)
    """
    with _ONE_PASS_AT_A_TIME, _random_state(seed):
        snapshot = ModelSnapshot(model)
        try:
            with snapshot.watch() if watched else nullcontext():
                yield snapshot
        finally:
            snapshot.restore()
        snapshot.check()


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
