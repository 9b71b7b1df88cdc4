"""How the definitions run a model: as a float64 copy, on one sample at a time where its gradients are asked for."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def per_sample_gradients(
    model: nn.Module, batch: tuple[Any, Any], names: Iterable[str], loss: Callable[[Any, Any], Tensor] = F.cross_entropy
) -> dict[str, Tensor]:
    """Gradients of each sample's own loss, one backward per sample: {name: (B, ...)}.

    `batch` is (inputs, targets), tensors, or tuples or dicts of tensors with samples along axis 0, as the outputs have
    them. The model runs as a float64 copy, in its own mode, and on the whole batch: torch's backward of a BatchNorm in
    eval mode is wrong for a single sample whose gradient comes from tokens.

    Example:
        >>> batch = torch.randn(4, 3), torch.zeros(4, dtype=torch.long)
        >>> per_sample_gradients(nn.Linear(3, 2), batch, ["weight"])["weight"].shape
        torch.Size([4, 2, 3])
    """
    names = tuple(names)
    model = copy.deepcopy(model).double()
    parameters = dict(model.named_parameters())
    weights = [parameters[name] for name in names]
    inputs, targets = map(as_float64, batch)
    outputs = call_model(model, inputs)
    rows: list[tuple[Tensor, ...]] = []
    for b in range(_n_samples(inputs)):
        own = loss(_sample(outputs, b), _sample(targets, b))
        gradients = torch.autograd.grad(own, weights, allow_unused=True, retain_graph=True)
        zeros = [torch.zeros_like(w) for w in weights]
        rows.append(tuple(z if g is None else g for g, z in zip(gradients, zeros, strict=True)))
    return {name: torch.stack([row[k] for row in rows]) for k, name in enumerate(names)}


def _n_samples(value: Any) -> int:
    first = next(iter(value.values())) if isinstance(value, Mapping) else value
    first = first[0] if isinstance(first, (tuple, list)) else first
    return int(first.shape[0])


def _sample(value: Any, b: int) -> Any:
    """Sample b of tensors, also inside of tuples and dicts, and of an object with `logits`."""
    if isinstance(value, Mapping):
        return {key: _sample(item, b) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return tuple(_sample(item, b) for item in value)
    if isinstance(value, Tensor):
        return value[b : b + 1]
    return SimpleNamespace(logits=_sample(value.logits, b)) if hasattr(value, "logits") else value


def as_float64(value: Any) -> Any:
    """A batch's inputs or targets with its floating-point tensors in float64."""
    if isinstance(value, Mapping):
        return {key: as_float64(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return tuple(as_float64(item) for item in value)
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value


def call_model(model: nn.Module, inputs: Any) -> Any:
    """Call the model as its inputs ask: a dict by keyword, a tuple by position."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple) else model(inputs)


def micro_batches(gradients: Tensor, n_groups: int) -> Tensor:
    """Sum the gradients (B, ...) within N consecutive groups of B/N samples -> (N, ...).

    Example:
        >>> micro_batches(torch.tensor([[1.0], [2.0], [3.0], [4.0]]), 2).tolist()
        [[3.0], [7.0]]
    """
    return torch.unflatten(gradients, 0, (n_groups, -1)).sum(1)
