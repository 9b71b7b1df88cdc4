"""Everything about a model and the process that a score must leave as it was, comparable bit for bit."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Snapshot = dict[str, Any]


def snapshot(model: nn.Module) -> Snapshot:
    """Values, identities and flags of the model, and the state of the process."""
    state: Snapshot = {f"process.{key}": value for key, value in _process().items()}
    for name, module in model.named_modules():
        state[f"module {name}"] = _module(module)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        state[f"parameter {name}"] = _parameter(parameter)
    for name, buffer in model.named_buffers(remove_duplicate=False):
        state[f"buffer {name}"] = _tensor(buffer)
    return state


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """Names of the entries that differ."""
    return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))


def assert_unchanged(model: nn.Module, before: Snapshot) -> None:
    """Fail, naming what differs, unless the model and the process are as in `before`."""
    changed = differences(before, snapshot(model))
    assert not changed, changed


def _process() -> dict[str, Any]:
    kind, keys, *rest = np.random.get_state()
    return {
        "torch random": _bits(torch.get_rng_state()),
        "numpy random": (kind, keys.tobytes(), *rest),
        "python random": random.getstate(),
        "threads": torch.get_num_threads(),
        "default dtype": torch.get_default_dtype(),
        "grad mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")),
        "cudnn": (torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "function modes": torch._C._len_torch_function_stack(),
    }


def _module(module: nn.Module) -> dict[str, Any]:
    """The attributes in order; containers with the identities of what they hold, plain values as they are."""
    return {key: _attribute(value) for key, value in vars(module).items()} | {"keys": tuple(vars(module))}


def _attribute(value: Any) -> Any:
    if isinstance(value, dict):
        return id(value), tuple((key, id(item)) for key, item in value.items())
    if isinstance(value, (list, set)):
        return id(value), tuple(id(item) for item in value)
    if isinstance(value, (bool, int, float, str, type(None))):
        return value
    return _tensor(value) if isinstance(value, Tensor) else id(value)


def _parameter(parameter: nn.Parameter) -> tuple[Any, ...]:
    grad = None if parameter.grad is None else _tensor(parameter.grad)
    return _tensor(parameter), parameter.requires_grad, grad, len(parameter._backward_hooks or ())


def _tensor(tensor: Tensor) -> tuple[Any, ...]:
    return id(tensor), tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype, _bits(tensor)


def _bits(tensor: Tensor) -> bytes:
    return tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()
