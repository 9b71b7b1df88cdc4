"""The base of the observing modes: sorts the calls of the torch API into weight, activation and other calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lswag_fast.observe.lineage import Lineage
from lswag_fast.observe.operations import COMPOSITES, OPERATIONS, BoundCall, ObservedOperation
from lswag_fast.observe.operations.metadata import QUESTIONS
from lswag_fast.observe.operations.registered import ReturnWatch
from lswag_fast.observe.samples.axis import AxisCandidates, Place

Key = tuple[Hashable, int]
"""Names a call so that other passes through the model find it again: what it is a call of, and which one of those."""

M = TypeVar("M", bound="CallMode")


class CallMode(TorchFunctionMode, ABC):
    """Numbers the weight and activation calls of a forward pass in order and hands each to a method.

    While a handler runs, the mode is off (torch's rule), so what a handler calls is not seen again.

    Attributes:
        lineage: which activations the tensors of the pass are made of.
    """

    def __init__(self, n_samples: int, constants: Iterable[Tensor] = ()) -> None:
        """`constants` are the model's parameters and buffers, which come from no sample."""
        super().__init__()
        self.n_samples = n_samples
        self.keys: list[Key] = []
        self._times: Counter[Hashable] = Counter()
        self._last_weight: Hashable = None
        self.lineage = Lineage(constants)
        self._watch = ReturnWatch()

    def __enter__(self: M) -> M:
        """Begin to see calls."""
        self._watch.__enter__()
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        """See no more calls."""
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._watch.__exit__(*error)

    @abstractmethod
    def on_weight_call(
        self,
        index: int,
        operation: ObservedOperation,
        call: BoundCall,
        candidates: AxisCandidates,
        run: Callable[[], Tensor],
    ) -> Tensor:
        """Run a call on a weight; `candidates` may hold the samples in `call.x`, `run` makes the call as it is."""

    @abstractmethod
    def on_activation(self, index: int, func: Callable[..., Any], out: Tensor) -> None:
        """Look at an activation's output."""

    def is_weight(self, tensor: Tensor) -> bool:
        """Whether a tensor is a parameter, or a view of one."""
        return any(isinstance(owner, nn.Parameter) for owner in (tensor, tensor._base))

    def on_composite(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any
    ) -> None:
        """Look at the output of a composite, whose calls on weights were handed on one by one."""

    def place_of(self, tensor: Tensor) -> Place | None:
        """Where the samples lie in a tensor, where that is followed."""
        return None

    def mark(self, tensor: Tensor, place: Place) -> None:
        """Say where the samples lie in a tensor, where that is followed."""

    def on_other(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run any other call."""
        return func(*args, **kwargs)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Sort one call."""
        kwargs = kwargs or {}
        if func in QUESTIONS:
            return func(*args, **kwargs)
        operation = OPERATIONS.get(func)
        if operation is not None:
            call = operation.bind(*args, **kwargs)
            if call is not None:
                candidates = operation.sample_axes(call.x, self.n_samples)
                return self._on_weight(operation, call, candidates, func, args, kwargs)
        if func in COMPOSITES:
            self.lineage.enter(func, args, kwargs)
            result = COMPOSITES[func](self, args, kwargs)
            self.lineage.leave(result)
            if result is not NotImplemented:
                self.on_composite(func, args, kwargs, result)
                return result
        out = self.on_other(func, args, kwargs)
        if self.lineage.follow(func, args, kwargs, out):
            index = self._next(("activation", self._last_weight))
            self.lineage.add_activation(index, out)
            self.on_activation(index, func, out)
        return out

    @property
    def n_calls(self) -> int:
        """The number of weight and activation calls."""
        return len(self.keys)

    def _next(self, what: Hashable) -> int:
        """Number a call, which is one more of its kind."""
        self._times[what] += 1
        self.keys.append((what, self._times[what]))
        return len(self.keys) - 1

    def _next_on(self, weight: Tensor) -> int:
        """Number a call on a weight: by the parameter, which is the same in every pass, or the shape of another."""
        owner = weight if weight._base is None else weight._base
        self._last_weight = id(owner) if isinstance(owner, nn.Parameter) else weight.shape
        index = self._next(self._last_weight)
        self._last_weight = self.keys[-1]
        return index

    def inner_call(
        self,
        function: Callable[..., Tensor],
        args: tuple[Any, ...],
        candidates: AxisCandidates | None = None,
        source: Tensor | None = None,
    ) -> Tensor:
        """Run a call on a weight from inside a composite; see `CallObserver`."""
        operation = OPERATIONS[function]
        call = operation.bind(*args)
        if call is None:
            raise TypeError(f"{function.__name__} inside a composite is not a call on a weight")
        if candidates is None:
            candidates = operation.sample_axes(call.x, self.n_samples)
        return self._on_weight(operation, call._replace(source=source), candidates, function, args, {})

    def _on_weight(
        self,
        operation: ObservedOperation,
        call: BoundCall,
        candidates: AxisCandidates,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Tensor:
        index = self._next_on(call.origin)
        out = self.on_weight_call(index, operation, call, candidates, partial(func, *args, **kwargs))
        self.lineage.add_weight(index, args, kwargs, out)
        return out
