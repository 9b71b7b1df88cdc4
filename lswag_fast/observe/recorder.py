"""Recording which tensors a forward pass uses as weights, where the pass itself is left to autograd."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from lswag_fast.observe.derived import DerivedWeights
from lswag_fast.observe.dispatch import CallMode
from lswag_fast.observe.operations import BATCH_NORMS, BoundCall, MacCounter, ObservedOperation, in_train_mode
from lswag_fast.observe.samples.axis import AxisCandidates
from lswag_fast.observe.weights import owner_of, tensors_in


class WeightRecorder(CallMode):
    """Runs every call as it is and records the named tensors that observed operations take as their weight.

    Attributes:
        kinds: by name, the kind of layer: "linear", "conv1d", "conv2d" (see `ObservedOperation`).

    Example:
        >>> import torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
        >>> inputs = torch.ones(5, 3)
        >>> with WeightRecorder(dict(model.named_parameters())) as recorder:
        ...     outputs = model(inputs)
        >>> recorder.weights
        {'0.weight': 0, '2.weight': 2}
        >>> recorder.activations(outputs), recorder.pairs([1])
        ([1], {'0.weight': 1, '2.weight': 1})
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        *,
        model: nn.Module | None = None,
        constants: Iterable[Tensor] = (),
        substitutes: Mapping[str, Tensor] | None = None,
        skip_batch_norm: bool = False,
        lone_sample: bool = False,
        counter: MacCounter | None = None,
    ) -> None:
        """Make a recorder, a context manager around the forward pass.

        Args:
            tensors: a model's parameters, or what stands in for them, by name; a slice of one counts as it.
            model: records the weights that this model computes from its parameters, too, named after its modules.
            constants: further tensors that come from no sample, as buffers do.
            substitutes: by name, what takes the place of computed weights in the calls on them.
            skip_batch_norm: a BatchNorm gives back its input, as the published synflow has it. One that normalises a
                computed weight is no norm of the network and runs.
            lone_sample: the batch is a single sample, of which a BatchNorm in train mode may have no statistics: one of
                one value per channel gives back its input, where torch raises an error.
            counter: counts the multiply-accumulates of the pass, of the calls on weights by their formula.
        """
        super().__init__(1, (*tensors.values(), *constants))
        self._weights: dict[str, int] = {}
        self._multiplying: set[str] = set()  # those that something else than parameters and constants came into
        self.kinds: dict[str, str] = {}
        self._activations: list[int] = []
        self._names = {id(tensor): name for name, tensor in tensors.items()}
        self._derived = None if model is None else DerivedWeights(model, self.lineage, tensors)
        self._substitutes = substitutes or {}
        self._skip_batch_norm = skip_batch_norm
        self._lone_sample = lone_sample
        self._counter = counter

    def on_weight_call(
        self,
        index: int,
        operation: ObservedOperation,
        call: BoundCall,
        candidates: AxisCandidates,
        run: Callable[[], Tensor],
    ) -> Tensor:
        """Record the weight of a call."""
        name = self._name_of(call.origin)
        if name is None and self._derived is not None:
            name = self._derived.name_of(call.weight)
        if name is not None:
            self._weights.setdefault(name, index)
            self.kinds.setdefault(name, operation.kind)
            if self.lineage.comes_from_batch(call.x) is not False:
                self._multiplying.add(name)
        return self._run(name, operation, call, run)

    def _run(
        self, name: str | None, operation: ObservedOperation, call: BoundCall, run: Callable[[], Tensor]
    ) -> Tensor:
        if name is not None and name in self._substitutes:
            return operation.forward(call._replace(weight=self._substitutes[name]))
        if self._counter is None:
            return run()
        return self._counter.run(run, lambda out: operation.macs(call, out.shape))

    def is_weight(self, tensor: Tensor) -> bool:
        """Whether it is one of the named tensors, or a view of one, however it came about."""
        return any(id(owner) in self._names for owner in (tensor, tensor._base))

    def on_activation(self, index: int, func: Callable[..., Any], out: Tensor) -> None:
        """Record the number of an activation call."""
        self._activations.append(index)

    def on_other(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run any other call; a BatchNorm may be asked to do nothing."""
        if func in BATCH_NORMS:
            x = args[0] if args else kwargs["input"]
            lone = self._lone_sample and in_train_mode(args, kwargs) and x.numel() == x.shape[1]
            of_weight = self._derived is not None and self._derived.is_computed(x)
            if (self._skip_batch_norm or lone) and not of_weight:
                return x.clone()  # as a norm's output it is a tensor of its own: what follows may work in place
        return func(*args, **kwargs)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Sort one call, and follow what is made from parameters."""
        before = 0 if self._counter is None else self._counter.macs
        out = super().__torch_function__(func, types, args, kwargs)
        if self._derived is not None:
            macs = 0 if self._counter is None else self._counter.macs - before
            made = args[0] if func is Tensor.__setitem__ else out
            self._derived.follow(tensors_in(args, kwargs or {}), made, macs)
        return out

    def sources(self, name: str) -> frozenset[str]:
        """The named tensors that a computed weight is made from."""
        return frozenset() if self._derived is None else self._derived.sources([name])

    @property
    def weights(self) -> dict[str, int]:
        """The names in order of first use, each with the number of that call.

        What a weight is computed from by calls on weights (a layer that makes a kernel) is none.
        """
        makers = frozenset() if self._derived is None else self._derived.sources(self.computed)
        return {n: index for n, index in self._weights.items() if n in self._multiplying or n not in makers}

    @property
    def macs_of_weights(self) -> int:
        """Those of the multiply-accumulates by which the model computed its weights."""
        return 0 if self._derived is None else self._derived.macs

    @property
    def computed(self) -> Mapping[str, Sequence[Tensor]]:
        """The weights among `weights` that the model computed, each with the tensors that the calls received."""
        return {} if self._derived is None else self._derived.tensors

    def activations(self, outputs: Any) -> list[int]:
        """The numbers of the activation calls whose features count, once the pass gave `outputs`."""
        self.lineage.add_outputs(outputs)
        return [index for index in self._activations if self.lineage.counts(index)]

    def pairs(self, activations: Sequence[int]) -> dict[str, int]:
        """Of each weight the activation call, one of these, that feeds its first call."""
        pairs = self.lineage.pairs(activations)
        return {name: pairs[index] for name, index in self.weights.items()}

    def _name_of(self, weight: Tensor) -> str | None:
        return self._names.get(id(weight)) or self._names.get(id(owner_of(weight)))
