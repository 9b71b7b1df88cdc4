"""The observing mode: reroutes the calls on weights, keeps activations, and records what forbids a statistic."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.utils.checkpoint import CheckpointFunction

from lswag_fast.errors import InputError, UnsupportedModelError
from lswag_fast.observe.backward import REENTRANT_CHECKPOINTING
from lswag_fast.observe.calls import ActivationCall, ObservedWeight, WeightCall
from lswag_fast.observe.capture import (
    INDEX_DTYPES,
    KERNEL_DTYPES,
    CaptureOptions,
    activation_name,
    capture_activation,
    unpackable_reason,
)
from lswag_fast.observe.derived import DerivedWeights, derived_name, is_running
from lswag_fast.observe.dispatch import CallMode
from lswag_fast.observe.lineage import constants_of
from lswag_fast.observe.observed_call import ObservedCall, as_autocast, forward_alone, output_again
from lswag_fast.observe.operations import (
    BATCH_NORMS,
    BoundCall,
    ObservedOperation,
    has_statistics,
    in_train_mode,
    unobserved_reason,
)
from lswag_fast.observe.operations.matrices.matrix_products import MATRIX_PRODUCTS
from lswag_fast.observe.operations.metadata import reads_values
from lswag_fast.observe.operations.one_key import ATTEND, attend_to_one_key
from lswag_fast.observe.samples.axis import AxisCandidates, Place, SampleAxis, candidates_by_size
from lswag_fast.observe.samples.flow import SampleFlow
from lswag_fast.observe.samples.rules import CHOOSING, PLACING, SCALING
from lswag_fast.observe.saved_tensors import hooks_are_active
from lswag_fast.observe.scales import MULTIPLYING, factors
from lswag_fast.observe.weights import MATRIX_DIMS, Piece, WeightTable, tensors_in
from lswag_fast.observe.writes import written_tensors

_NO_GRADIENT = frozenset((torch.detach, Tensor.detach))
_APPLY = vars(Function)["apply"].__func__  # what runs an autograd function of the model's


class ObservingMode(CallMode):
    """Sees every call of one forward pass; `lswag_fast.observe.observe` makes the results of it.

    Attributes:
        table: the model's parameters; it knows which of them were frozen before the pass froze them all.
        weights: the observed weights, by their place in a parameter or, computed ones, by identity.
        activations: the activation calls, in order.
        reasons: by the name of a parameter, why it has no statistic.
        tables: by the name of a parameter that is used otherwise than as a weight, whether only to be added, chosen
            from for all samples alike, and the like; see `Observation.n_elements`.
        unpackable: by the number of an activation call, its name and why its signs cannot be packed.
        empty: the names of those whose output has no elements.
        couples_samples: whether a BatchNorm ran in train mode.
        eval_avoids_coupling: whether each of those is given statistics that it would normalise by in eval mode.
        independent_samples: whether what makes samples depend on each other is refused.
        receive: called in backward with a weight and one of its calls whose operands are there; answers whether any
            wanted call lies further upstream.
    """

    def __init__(
        self,
        model: nn.Module,
        table: WeightTable,
        n_samples: int,
        capture: CaptureOptions,
        before_write: Callable[[Tensor], None],
        *,
        independent_samples: bool,
    ) -> None:
        """`before_write` is called with each tensor that a call of the model is about to write into."""
        super().__init__(n_samples, constants_of(model))
        self.table = table
        self.capture = capture
        self.weights: dict[tuple[str, Piece, Hashable] | int, ObservedWeight] = {}
        self.activations: list[ActivationCall] = []
        self.reasons: dict[str, str] = {}
        self.tables: dict[str, bool] = {}
        self.unpackable: dict[int, tuple[str, str]] = {}
        self.empty: set[str] = set()
        self.flow = SampleFlow(n_samples)
        counting = {name: p for name, p in table.parameters.items() if name not in table.frozen}
        self.derived = DerivedWeights(model, self.lineage, counting)
        self.couples_samples = False
        self.eval_avoids_coupling = True
        self.receive: Callable[[ObservedWeight, WeightCall], bool] | None = None
        self._asks_gradients = True  # the model, whether or not an autograd function of its own runs
        self._model = model
        self._before_write = before_write
        self.independent_samples = independent_samples

    def finish(self, outputs: Any) -> None:
        """End the forward pass, which gave `outputs`: keep only the activations whose features count."""
        self.lineage.add_outputs(outputs)
        self.activations = [call for call in self.activations if self.lineage.counts(call.index)]
        self.unpackable = {index: why for index, why in self.unpackable.items() if self.lineage.counts(index)}

    def release(self) -> None:
        """Forget the calls, once nothing more is asked of them: call after the pass, also when it failed.

        The graph of the pass leads to this mode, through the functions that stand in for the calls, and what the calls
        keep leads back to the graph. Python's garbage collector does not see through autograd, so that a branch that no
        gradient reaches would never be freed.
        """
        for weight in self.weights.values():
            for call in weight.calls:
                call.output = call.operands = None
        self.weights.clear()
        self.receive = None

    # -- weights ---------------------------------------------------------------------------------------------------

    def on_weight_call(
        self,
        index: int,
        operation: ObservedOperation,
        call: BoundCall,
        candidates: AxisCandidates,
        run: Callable[[], Tensor],
    ) -> Tensor:
        """Reroute one call on a weight, or run it as it is when its weight cannot be observed."""
        candidates = self.flow.candidates(call.x, candidates)
        observed = self._observed(operation, call)
        self._record_operands(call)
        if observed is None:
            out = run() if self.capture.operands else forward_alone(operation, call, run)
        else:
            out = self._rerouted(observed, index, operation, call, candidates)
        self.derived.follow((call.x, call.weight), out)
        is_placed = candidates.certain and (candidates.options[0].axis == 0 or call.geometry is None)
        if is_placed:
            self.flow.mark(out, candidates.options[0])
        if self.flow.mixed.marks or not is_placed or type(call.weight) is not nn.Parameter:
            self.flow.weigh(call.x, call.weight, out, operation.kind, is_placed=is_placed)
        return out

    def _observed(self, operation: ObservedOperation, call: BoundCall) -> ObservedWeight | None:
        """The weight of a call; None, with a reason on record, when it is not observed."""
        if not self.capture.operands:
            return None
        weight = call.origin
        name = self.table.name_of(weight)
        reason = _unobservable_reason(weight, call.x, self._asks_gradients)
        if reason is not None:
            self.reasons.setdefault(name or self._derived_name(), reason)
            return None
        if name in self.table.frozen or (name is None and self.derived.is_fixed(call.weight)):
            return None
        piece = Piece.of(weight)
        is_linear = operation.kernel_geometry(call.geometry, call.x.shape) is None
        place = piece.upright() if is_linear and call.source is None else piece
        kind = operation.kind if name is not None else "derived"
        name = name or self.derived.name_of(call.weight)
        # One view may be a matrix in several ways, or several matrices: those calls have no gradient in common.
        layout = None if call.source is None else (operation.kind, call.weight.shape)
        key = id(call.weight) if name is None else (name, place, layout)
        observed = self.weights.get(key)
        if observed is None:
            observed = ObservedWeight(name or self._derived_name(), kind, piece, call.weight)
            self.weights[key] = observed
        return observed

    def _rerouted(
        self,
        observed: ObservedWeight,
        index: int,
        operation: ObservedOperation,
        bound: BoundCall,
        candidates: AxisCandidates,
    ) -> Tensor:
        anchor = torch.zeros((), device=bound.x.device, requires_grad=True)
        call = WeightCall(index, operation, bound.x.shape, candidates, anchor, bound.geometry)
        call.transposed = bool(observed.calls) and Piece.of(bound.origin) != observed.piece
        observed.calls.append(call)
        bound = as_autocast(bound)
        out: Tensor = ObservedCall.apply(  # type: ignore[no-untyped-call]
            bound.x, bound.weight, bound.bias, bound.geometry, anchor, operation, partial(self._receive, observed, call)
        )
        if self.capture.outputs:
            call.output = output_again(out, operation, bound)
        return out

    def _receive(self, observed: ObservedWeight, call: WeightCall, x: Tensor, grad_out: Tensor) -> bool:
        """Hand on what the backward of a call gave; answers as `receive` does."""
        if self.receive is None:  # a backward that is not the observation's own
            return True
        call.operands = (x, grad_out)
        return self.receive(observed, call)

    def _derived_name(self) -> str:
        return derived_name(self._model, {w.name for w in self.weights.values()} | self.table.parameters.keys())

    def place_of(self, tensor: Tensor) -> Place | None:
        """Where the samples lie in a tensor, where that is known."""
        return self.flow.place_of(tensor)

    def mark(self, tensor: Tensor, place: Place) -> None:
        """Remember where the samples lie in a tensor."""
        self.flow.mark(tensor, place)

    def on_composite(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any
    ) -> None:
        """Follow the samples through it, and what it makes of weights."""
        received = tensors_in(args, kwargs)
        self.flow.follow(func, args, kwargs, received, out, keep=True)
        self._follow_made(received, out)

    # -- activations and the rest ----------------------------------------------------------------------------------

    def on_activation(self, index: int, func: Callable[..., Any], out: Tensor) -> None:
        """Pack the signs, once for each axis that may hold the samples."""
        if not self.capture.activations:
            return
        name = activation_name(index, func)
        candidates = self.flow.candidates(out, candidates_by_size(out.shape, self.n_samples, range(out.dim())))
        reason = unpackable_reason(out, candidates)
        if reason is not None:
            self.unpackable[index] = (name, reason)
            if out.numel() == 0:
                self.empty.add(name)
            return
        self.activations.append(capture_activation(index, name, out, candidates, self.n_samples, self.capture))

    def on_other(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run a call that is not observed; record when it receives a weight, writes into one, or couples samples."""
        if func is torch._C._set_grad_enabled and not is_running(_APPLY):
            self._asks_gradients = args[0]
        if func.__name__ == "__get__":  # a property: neither a use nor a write
            out = func(*args, **kwargs)
            self.flow.follow(func, args, kwargs, tensors_in(args), out)
            return out
        if func in BATCH_NORMS and in_train_mode(args, kwargs):
            self._couple_samples(func, args, kwargs)
        for tensor in written_tensors(func, args, kwargs):
            self._before_write(tensor)
        out = attend_to_one_key(args, kwargs) if func is ATTEND else None
        if out is None:
            out = func(*args, **kwargs)
        received = tensors_in(args, kwargs)
        self.flow.follow(func, args, kwargs, received, out)
        if func not in _NO_GRADIENT:
            self._follow_made(received, args[0] if func is Tensor.__setitem__ else out, func in SCALING)
        if func in MULTIPLYING or func in MATRIX_PRODUCTS:
            self._record_factors(received if func in MATRIX_PRODUCTS else factors(func, args, kwargs))
        if func not in _NO_GRADIENT and torch.is_grad_enabled():
            self._record_uses(func, args, received, out)
        return out

    def _record_factors(self, multiplied: list[Tensor]) -> None:
        """Record that a weight matrix, or what it was scaled to, is multiplied with features: no table is.

        A mask and a number that scales are no features.
        """
        if any(self._may_be_features(tensor) for tensor in multiplied):
            for tensor in multiplied:
                name = self.table.name_of(tensor)
                if name is not None:
                    self.tables[name] = False
                elif self.derived.is_scaled(tensor):
                    self.tables.update(dict.fromkeys(self.derived.sources_of(tensor), False))

    def _may_be_features(self, tensor: Tensor) -> bool:
        is_number = tensor.numel() == 1 or not (tensor.is_floating_point() or tensor.is_complex())
        return not is_number and self.lineage.comes_from_batch(tensor) is not False

    def _places(self, func: Callable[..., Any], received: list[Tensor]) -> bool:
        """Whether a call takes a tensor for a table: adds or moves its values, or chooses some.

        By numbers that the batch gives, such as tokens, values are chosen as from a weight; by positions, or by what a
        router says, as from a table or from the biases of experts.
        """
        if func in CHOOSING:
            indices = (tensor for tensor in received if not tensor.is_floating_point())
            return not any(map(self.lineage.is_given, indices))
        return func in PLACING

    def _follow_made(self, received: list[Tensor], out: Any, scales: bool = False) -> None:
        """Follow what is made from parameters, unless no gradient would reach them through it.

        Torch switches gradients off where an autograd function of the model's runs, whose backward gives one.
        """
        if torch.is_grad_enabled() or self._asks_gradients or not self.capture.operands:
            self.derived.follow(received, out, scales=scales)

    def _couple_samples(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        normalised = args[0] if args else kwargs["input"]
        if self.derived.is_computed(normalised):  # a weight, by weight standardisation
            return
        place = self.flow.place_of(normalised)
        if isinstance(place, SampleAxis) and place.axis == 1:  # each sample has channels of its own
            return
        if not has_statistics(func, args, kwargs) or not any(module.training for module in self._model.modules()):
            self.eval_avoids_coupling = False
        if self.independent_samples:
            advice = "call model.eval() first, or " if self.eval_avoids_coupling else ""
            raise InputError(
                "chunk_size needs samples that do not depend on each other, but a BatchNorm runs in train mode; "
                f"{advice}leave chunk_size out"
            )
        self.couples_samples = True

    def _record_operands(self, call: BoundCall) -> None:
        """Record the weights that a call on another weight, or on the same, receives as its input or bias."""
        if not torch.is_grad_enabled():
            return
        for tensor in self._possible_weights((call.x,) if call.bias is None else (call.x, call.bias)):
            name = self._weight_name(tensor)
            if name is not None and name not in self.table.frozen:
                what = "input" if tensor is call.x else "bias"
                self.reasons.setdefault(name, f"used by a call on a weight, as its {what}")
                self.tables[name] = False

    def _possible_weights(self, tensors: Iterable[Tensor]) -> list[Tensor]:
        """The parameters and views among some tensors, and what calls received as their weights: most are neither."""
        parameters, weights, derived = self.table.names, self.weights, self.derived.names
        found = []
        for tensor in tensors:
            key = id(tensor)
            if key in parameters or key in weights or key in derived or tensor._base is not None:
                found.append(tensor)
        return found

    def _weight_name(self, tensor: Tensor) -> str | None:
        """The name of the weight matrix that a tensor is, or is a view of: a parameter or a computed one."""
        name = self.table.name_of(tensor)
        if name is None:
            return self.derived.known_name(tensor)
        return name if self.table.parameters[name].dim() >= MATRIX_DIMS else None

    def _record_uses(self, func: Callable[..., Any], args: tuple[Any, ...], received: list[Tensor], out: Any) -> None:
        for tensor in self._possible_weights(received):
            name = self.table.name_of(tensor)
            if name is None:
                made = self.weights.get(id(tensor))
                name = self.derived.known_name(tensor) if made is None else made.name
            elif self.table.parameters[name].dim() < MATRIX_DIMS:
                continue
            if name is None or not reads_values(func, args, tensor):
                continue
            if any(self.table.name_of(result) != name for result in tensors_in(out)):
                self.reasons.setdefault(name, unobserved_reason(func))
                self.tables[name] = self.tables.get(name, True) and self._places(func, received)


def _unobservable_reason(weight: Tensor, x: Tensor, asks_gradients: bool) -> str | None:
    """Why a call on this weight gives no statistic; raises where it would give a wrong one."""
    if hooks_are_active():
        raise UnsupportedModelError(
            "saved-tensor hooks are active (activation checkpointing, save_on_cpu): they recompute outside of the "
            "observer and can give wrong gradients; score the model without checkpointing"
        )
    if not torch.is_grad_enabled():
        if is_running(CheckpointFunction.forward):
            raise UnsupportedModelError(REENTRANT_CHECKPOINTING)
        if asks_gradients:
            return "called inside of an autograd function of the model's, which has a backward of its own"
        return "called under torch.no_grad()"
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return "called inside of a transform of torch.func (vmap, grad), which shows no samples"
    if weight.numel() == 0:
        return "has no elements"
    for tensor in (weight,) if x.dtype in INDEX_DTYPES else (weight, x):
        if tensor.dtype not in KERNEL_DTYPES:
            return f"{tensor.dtype} is not supported (float32, float64, bfloat16, float16 are)"
    return None
