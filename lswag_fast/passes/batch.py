"""The batch as the user gives it: checked once, cut into samples where a pass needs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lswag_fast.errors import InputError, ZeroVarianceError

MIN_SAMPLES = 2


@dataclass(frozen=True)
class Batch:
    """`inputs` and `targets`: each a tensor, or a tuple or dict of tensors; samples along axis 0, B of them."""

    inputs: Any
    targets: Any
    n_samples: int

    @classmethod
    def checked(cls, batch: Any) -> Batch:
        """Check a user's batch.

        Raises InputError for anything that is not a pair (inputs, targets) of at least two samples with finite
        values, and ZeroVarianceError when all samples are equal.
        """
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:  # (inputs, targets)
            raise InputError(f"batch must be a pair (inputs, targets), got {type(batch).__name__}")
        inputs, targets = batch
        tensors = dict(_named_tensors("inputs", inputs))
        if not tensors:
            raise InputError(f"batch inputs must hold a tensor, got {type(inputs).__name__}")
        name, first = next(iter(tensors.items()))
        if first.dim() == 0:
            raise InputError(f"batch {name} is a scalar; samples are expected along axis 0")
        n_samples = first.shape[0]
        if n_samples < MIN_SAMPLES:
            raise InputError(f"batch {name} has {n_samples} sample(s); a variance needs at least {MIN_SAMPLES}")
        for target_name, target in _named_tensors("targets", targets):
            if target.dim() and target.shape[0] != n_samples:
                raise InputError(f"batch {target_name} has {target.shape[0]} samples, {name} has {n_samples}")
            tensors[target_name] = target
        _check_values(tensors)
        _check_distinct(tensors, n_samples)
        return cls(inputs, targets, n_samples)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by a name to use in messages."""
        return dict([*_named_tensors("inputs", self.inputs), *_named_tensors("targets", self.targets)])

    def take(self, samples: Sequence[int] | slice) -> Batch:
        """The batch of those samples only. Tensors whose axis 0 has another length than B (masks) stay whole."""
        index: Any = samples if isinstance(samples, slice) else torch.as_tensor(samples)
        count = len(range(self.n_samples)[samples]) if isinstance(samples, slice) else len(samples)
        return Batch(self._taken(self.inputs, index), self._taken(self.targets, index), count)

    def chunks(self, chunk_size: int | None) -> Iterator[Batch]:
        """The batch in consecutive parts of at most `chunk_size` samples; itself for None."""
        if chunk_size is None or chunk_size >= self.n_samples:
            yield self
            return
        for start in range(0, self.n_samples, chunk_size):
            yield self.take(slice(start, start + chunk_size))

    def _taken(self, value: Any, index: Any) -> Any:
        if isinstance(value, Tensor):
            sampled = value.dim() > 0 and value.shape[0] == self.n_samples
            return value[index.to(value.device) if isinstance(index, Tensor) else index] if sampled else value
        if isinstance(value, Mapping):
            return {key: self._taken(item, index) for key, item in value.items()}
        if isinstance(value, (tuple, list)):
            items = [self._taken(item, index) for item in value]
            return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
        return value


def call_model(model: nn.Module, inputs: Any) -> Any:
    """Call the model the way its inputs ask for: `model(x)`, `model(*tuple)` or `model(**dict)`."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    if isinstance(inputs, (tuple, list)):
        return model(*inputs)
    return model(inputs)


def _named_tensors(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _named_tensors(f"{name}[{key!r}]", item)
    elif isinstance(value, (tuple, list)):
        for position, item in enumerate(value):
            yield from _named_tensors(f"{name}[{position}]", item)


def _check_values(tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex():
            raise InputError(
                f"batch {name}: {tensor.layout}, {tensor.dtype} is not supported; pass a plain dense tensor"
            )
        if tensor.is_meta:
            raise InputError(f"batch {name} lies on the meta device and has no values")
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            bad = int((~torch.isfinite(tensor)).sum())
            raise InputError(f"batch {name} holds {bad} NaN or infinite value(s)")


def _check_distinct(tensors: Mapping[str, Tensor], n_samples: int) -> None:
    sampled = [t for t in tensors.values() if t.dim() and t.shape[0] == n_samples]
    if all(bool((t == t[:1]).all()) for t in sampled):
        raise ZeroVarianceError(f"all {n_samples} samples of the batch are identical, so no gradient varies over them")
