"""The batch as the user gives it: checked once, cut into samples where a pass needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.masked import MaskedTensor
from torch.nn.utils.rnn import PackedSequence
from torch.utils.data import DataLoader

from lswag_fast.errors import InputError, ZeroVarianceError

MIN_SAMPLES = 2


@dataclass(frozen=True)
class Batch:
    """Samples and their targets, checked.

    Attributes:
        inputs: a tensor, or a tuple or dict of tensors, with the B samples along axis 0.
        targets: likewise.
        n_samples: B.
        n_batches: how many batches of the user's these are, one after the other.

    Example:
        >>> batch = Batch.checked((torch.eye(4), torch.arange(4)))
        >>> batch.n_samples, [part.n_samples for part in batch.chunks(2)]
        (4, [2, 2])
    """

    inputs: Any
    targets: Any
    n_samples: int
    n_batches: int = 1

    @classmethod
    def checked(cls, batch: Any) -> Batch:
        """Check a user's batch, or list of batches; those are joined.

        Args:
            batch: a pair (inputs, targets), or a list of such pairs of one size.

        Raises:
            InputError: it is not a pair (inputs, targets) of at least two samples with finite values.
            ZeroVarianceError: all samples are equal.

        Example:
            >>> pair = torch.eye(4), torch.arange(4)
            >>> joined = Batch.checked([pair, pair])
            >>> joined.n_samples, joined.n_batches
            (8, 2)
        """
        if isinstance(batch, list) and batch and all(_is_pair(one) for one in batch):
            return cls._joined([cls.checked(tuple(one)) for one in batch])
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:  # (inputs, targets)
            hint = "; next(iter(loader)) is the first batch of a loader" if isinstance(batch, DataLoader) else ""
            raise InputError(f"batch must be a pair (inputs, targets), got {type(batch).__name__}{hint}")
        inputs, targets = batch
        _check_kind(inputs)
        tensors = dict(_named_tensors("inputs", inputs))
        if not tensors:
            raise InputError(f"batch inputs must hold a tensor, got {type(inputs).__name__}")
        _check_rectangular(tensors)
        name, first = next(iter(tensors.items()))
        if first.dim() == 0:
            raise InputError(f"batch {name} is a scalar; samples are expected along axis 0")
        n_samples = first.shape[0]
        if n_samples < MIN_SAMPLES:
            raise InputError(f"batch {name} has {n_samples} sample(s); a variance needs at least {MIN_SAMPLES}")
        named_targets = dict(_named_tensors("targets", targets))
        _check_rectangular(named_targets)
        for target_name, target in named_targets.items():
            if target.dim() and target.shape[0] != n_samples:
                _check_entries(inputs, targets)
                raise InputError(f"batch {target_name} has {target.shape[0]} samples, {name} has {n_samples}")
            tensors[target_name] = target
        _check_values(tensors)
        _check_distinct(tensors, n_samples)
        return cls(inputs, targets, n_samples)

    @classmethod
    def _joined(cls, batches: Sequence[Batch]) -> Batch:
        """Several batches of one size as one; raises InputError for sizes or structures that differ."""
        sizes = sorted({batch.n_samples for batch in batches})
        if len(sizes) > 1:
            raise InputError(f"a list of batches must hold batches of one size, got sizes {sizes}")
        inputs = _join("inputs", [batch.inputs for batch in batches], sizes[0])
        targets = _join("targets", [batch.targets for batch in batches], sizes[0])
        return cls(inputs, targets, sizes[0] * len(batches), len(batches))

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by a name to use in messages."""
        return dict([*_named_tensors("inputs", self.inputs), *_named_tensors("targets", self.targets)])

    @property
    def device(self) -> torch.device:
        """Where the batch lies, whose tensors were checked to lie together."""
        return next(iter(self.tensors.values())).device

    def copied(self) -> Batch:
        """Return the batch with tensors of its own, which a model or a loss may write into.

        Example:
            >>> batch = Batch(torch.zeros(2, 1), None, 2)
            >>> batch.copied().inputs.add_(1).sum().item(), batch.inputs.sum().item()
            (2.0, 0.0)
        """
        copies: dict[int, Tensor] = {}

        def copy(tensor: Tensor) -> Tensor:
            if id(tensor) not in copies:  # what is given twice stays one tensor
                copies[id(tensor)] = tensor.detach().clone().requires_grad_(tensor.requires_grad)
            return copies[id(tensor)]

        return replace(self, inputs=map_tensors(copy, self.inputs), targets=map_tensors(copy, self.targets))

    def take(self, samples: Sequence[int] | slice) -> Batch:
        """Return the batch of some samples only.

        Args:
            samples: their indices. Tensors whose axis 0 has another length than B (masks) stay whole.

        Example:
            >>> Batch.checked((torch.eye(4), torch.arange(4))).take([2, 0]).targets
            tensor([2, 0])
        """
        index: Any = samples if isinstance(samples, slice) else torch.as_tensor(samples, device="cpu")
        count = len(range(self.n_samples)[samples]) if isinstance(samples, slice) else len(samples)
        return Batch(self._taken(self.inputs, index), self._taken(self.targets, index), count)

    def chunks(self, chunk_size: int | None) -> Iterator[Batch]:
        """Yield the batch in consecutive parts.

        Args:
            chunk_size: the samples of a part; None yields the batch itself. A last one that would be left alone joins
                the part before it: torch's backward of a BatchNorm in eval mode is wrong for a single sample whose
                gradient comes from tokens.

        Example:
            >>> [part.n_samples for part in Batch.checked((torch.eye(4), torch.arange(4))).chunks(3)]
            [4]
            >>> [part.n_samples for part in Batch.checked((torch.eye(7), torch.arange(7))).chunks(2)]
            [2, 2, 3]
        """
        if chunk_size is None or chunk_size >= self.n_samples:
            yield self
            return
        start = 0
        while start < self.n_samples:
            left = self.n_samples - start
            size = left if left <= chunk_size + 1 else chunk_size
            yield self if size == self.n_samples else self.take(slice(start, start + size))
            start += size

    def map_samples(self, function: Callable[[Tensor], Tensor], needed: str) -> Batch:
        """Return the batch with every floating-point tensor of samples among the inputs replaced.

        Args:
            function: what maps such a tensor to the one in its place.
            needed: what the error begins with.

        Raises:
            InputError: there is no such tensor.

        Example:
            >>> batch = Batch.checked((torch.eye(2), torch.arange(2)))
            >>> batch.map_samples(lambda x: 2 * x, "noise").inputs
            tensor([[2., 0.],
                    [0., 2.]])
        """
        mapped = 0

        def each(tensor: Tensor) -> Tensor:
            nonlocal mapped
            if not tensor.is_floating_point() or not self._holds_samples(tensor):
                return tensor
            mapped += 1
            return function(tensor)

        inputs = map_tensors(each, self.inputs)
        if not mapped:
            dtypes = sorted({str(tensor.dtype) for _, tensor in _named_tensors("inputs", self.inputs)})
            raise InputError(
                f"{needed}: the batch's inputs are {', '.join(dtypes)}, with no floating-point samples; score a model "
                "of tokens by another proxy"
            )
        return replace(self, inputs=inputs)

    def _taken(self, value: Any, index: Any) -> Any:
        def each(tensor: Tensor) -> Tensor:
            if not self._holds_samples(tensor):
                return tensor
            return tensor[index.to(tensor.device) if isinstance(index, Tensor) else index]

        return map_tensors(each, value)

    def _holds_samples(self, tensor: Tensor) -> bool:
        return tensor.dim() > 0 and tensor.shape[0] == self.n_samples


def map_tensors(function: Callable[[Tensor], Tensor], value: Any) -> Any:
    """Return a tensor, or the tensors in nested tuples, lists and dicts, each replaced by `function` of it.

    Example:
        >>> map_tensors(lambda x: x + 1, {"x": (torch.tensor(1), "text")})
        {'x': (tensor(2), 'text')}
    """
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, Mapping):
        return {key: map_tensors(function, item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        items = [map_tensors(function, item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, (tuple, list)) and len(value) == 2 and isinstance(value[0], (Tensor, Mapping, tuple, list))
    )  # (inputs, targets)


def _join(name: str, values: Sequence[Any], n_samples: int) -> Any:
    """Join tensors with samples along axis 0; anything else must be the same in every batch."""
    first = values[0]
    if any(type(value) is not type(first) for value in values):
        raise InputError(f"a list of batches: {name} differ in kind between the batches")
    if isinstance(first, Tensor):
        if any(value.shape != first.shape or value.dtype != first.dtype for value in values):
            raise InputError(f"a list of batches: {name} differ in shape or dtype between the batches")
        if first.dim() and first.shape[0] == n_samples:
            return torch.cat(list(values))
        same = all(torch.equal(value, first) for value in values)
    elif isinstance(first, Mapping):
        if any(value.keys() != first.keys() for value in values):
            raise InputError(f"a list of batches: {name} differ in their keys between the batches")
        return {key: _join(f"{name}[{key!r}]", [value[key] for value in values], n_samples) for key in first}
    elif isinstance(first, (tuple, list)):
        if any(len(value) != len(first) for value in values):
            raise InputError(f"a list of batches: {name} differ in length between the batches")
        items = [_join(f"{name}[{k}]", [value[k] for value in values], n_samples) for k in range(len(first))]
        return type(first)(*items) if hasattr(first, "_fields") else type(first)(items)
    else:
        same = all(value == first for value in values)
    if not same:
        raise InputError(f"a list of batches: {name} has no samples along axis 0 and differs between the batches")
    return first


def call_model(model: Callable[..., Any], inputs: Any) -> Any:
    """Call the model the way its inputs ask for: `model(x)`, `model(*tuple)` or `model(**dict)`.

    Example:
        >>> call_model(max, (1, 2)), call_model(dict, {"a": 1})
        (2, {'a': 1})
    """
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


def _check_kind(inputs: object) -> None:
    """Refuse inputs that hold tensors, but no samples along an axis."""
    if isinstance(inputs, PackedSequence):
        raise InputError(
            "batch inputs are a PackedSequence, whose rows are of all samples; pad them: pad_packed_sequence"
        )


def _check_rectangular(tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors that have no shape, or no number at some of their places."""
    for name, tensor in tensors.items():
        if tensor.is_nested:
            raise InputError(f"batch {name}: a nested tensor has samples of several shapes; pad them: to_padded_tensor")
        if isinstance(tensor, MaskedTensor):
            raise InputError(f"batch {name}: a MaskedTensor is not supported; pass a plain one: to_tensor(0)")


def _check_entries(inputs: object, targets: object) -> None:
    """Refuse lists with one entry per sample, as models of detection take them."""
    n_targets = len(targets) if isinstance(targets, (Tensor, list, tuple)) else None
    if isinstance(inputs, list) and len(inputs) == n_targets:
        raise InputError(
            f"batch inputs are a list with one entry for each of {n_targets} samples; samples lie along axis 0 of "
            "tensors. A model that takes such a list (detection) needs a wrapper that makes it from a tensor (B, ...)"
        )


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
