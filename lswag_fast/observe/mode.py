"""The observing mode: reroutes the calls on weights, packs the signs of activations, notes what forbids a statistic."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast import kernels
from lswag_fast.errors import InputError, UnsupportedModelError
from lswag_fast.observe.calls import ActivationCall, ObservedWeight, WeightCall
from lswag_fast.observe.convolution import ConvArguments
from lswag_fast.observe.dispatch import CallMode
from lswag_fast.observe.functions import ObservedConv, ObservedLinear, Receive
from lswag_fast.observe.recorder import BATCH_NORMS
from lswag_fast.observe.sample_axis import AxisCandidates, candidates_by_size
from lswag_fast.observe.sample_flow import SampleFlow
from lswag_fast.observe.weights import MATRIX_DIMS, Piece, WeightTable, tensors_in

KERNEL_DTYPES = frozenset((torch.float32, torch.float64, torch.bfloat16, torch.float16))

_NO_GRADIENT = frozenset((torch.detach, Tensor.detach))

_BATCH_NORM_TRAINING = 5  # position of `training` among the arguments of both

Protect = Callable[[str], None]
"""Called with a parameter's name before a call of the model writes into it."""


@dataclass(frozen=True)
class CaptureOptions:
    """What is kept of a forward pass: the activation calls, with the signs of their first `n_packed` samples and the
    agreements of all, the calls on weights (`operands`), and their outputs too."""

    n_packed: int
    activations: bool = True
    operands: bool = True
    agreements: bool = False
    outputs: bool = False


class ObservingMode(CallMode):
    """Sees every call of one forward pass. Read the results through `outcome`.

    `table` knows which parameters were frozen before the pass froze them all. `keeps` says what is kept of the
    activations and the outputs of weight calls. `on_operands(weight, call)` is called during backward, when
    (x, grad_out) of a call on a weight are there; it answers whether any wanted call lies further upstream.
    """

    def __init__(
        self,
        model: nn.Module,
        table: WeightTable,
        n_samples: int,
        keeps: CaptureOptions,
        on_operands: Callable[[ObservedWeight, WeightCall], bool],
        protect: Protect,
        *,
        independent_samples: bool,
    ) -> None:
        super().__init__(n_samples)
        self.table = table
        self.weights: dict[tuple[str, Piece] | int, ObservedWeight] = {}
        self.activations: list[ActivationCall] = []
        self.reasons: dict[str, str] = {}
        self.flow = SampleFlow()
        self.couples_samples = False
        self.keeps = keeps
        self._on_operands = on_operands
        self._protect = protect
        self._independent_samples = independent_samples
        self._model = model

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

    # -- weights ---------------------------------------------------------------------------------------------------

    def on_linear(
        self, index: int, x: Tensor, weight: Tensor, bias: Tensor | None, candidates: AxisCandidates
    ) -> Tensor:
        """Reroute one linear call, or run it as it is when its weight cannot be observed."""
        candidates = self.flow.candidates(x, candidates)
        observed = self._observed(weight, x, "linear")
        if observed is None:
            return self._carried(F.linear(x, weight, bias), candidates)
        call = WeightCall(index, x.shape, candidates, _anchor(x))
        receive = self._register(observed, call)
        x, weight, bias = _autocast(x, weight, bias)
        out: Tensor = ObservedLinear.apply(  # type: ignore[no-untyped-call]
            x, weight, bias, call.anchor, receive
        )
        if self.keeps.outputs:
            call.output = _again(out, lambda: F.linear(x, weight, bias))
        return self._carried(out, candidates)

    def on_conv(self, index: int, call: ConvArguments, candidates: AxisCandidates) -> Tensor:
        """Reroute one convolution call, or run it as it is when its weight cannot be observed."""
        candidates = self.flow.candidates(call.x, candidates)
        observed = self._observed(call.weight, call.x, f"conv{len(call.geometry.kernel_size)}d")
        if observed is None:
            return self._carried(call.forward(), candidates, is_conv=True)
        record = WeightCall(index, call.x.shape, candidates, _anchor(call.x), call.geometry)
        receive = self._register(observed, record)
        x, weight, bias = _autocast(call.x, call.weight, call.bias)
        out: Tensor = ObservedConv.apply(  # type: ignore[no-untyped-call]
            x, weight, bias, record.anchor, call.geometry, receive
        )
        if self.keeps.outputs:
            record.output = _again(out, ConvArguments(x, weight, bias, call.geometry).forward)
        return self._carried(out, candidates, is_conv=True)

    def _carried(self, out: Tensor, candidates: AxisCandidates, is_conv: bool = False) -> Tensor:
        """Note that the samples of a call's output lie where those of its input do, if not along a conv plane."""
        if candidates.certain and (candidates.options[0].axis == 0 or not is_conv):
            self.flow.mark(out, candidates.options[0])
        return out

    def _observed(self, weight: Tensor, x: Tensor, kind: str) -> ObservedWeight | None:
        if not self.keeps.operands:
            return None
        name = self.table.name_of(weight)
        reason = _refusal(weight, x)
        if reason is not None:
            self.reasons.setdefault(name or self._derived_name(), reason)
            return None
        if name in self.table.frozen:
            return None
        key = id(weight) if name is None else (name, Piece.of(weight))
        if key not in self.weights:
            known_as = self._derived_name() if name is None else name
            self.weights[key] = ObservedWeight(known_as, "derived" if name is None else kind, Piece.of(weight), weight)
        return self.weights[key]

    def _register(self, observed: ObservedWeight, call: WeightCall) -> Receive:
        observed.calls.append(call)

        def receive(x: Tensor, grad_out: Tensor) -> bool:
            call.operands = (x, grad_out)
            return self._on_operands(observed, call)

        return receive

    def _derived_name(self) -> str:
        """Name a computed weight after the module whose forward is running."""
        modules = {id(module): name for name, module in self._model.named_modules()}
        frame = sys._getframe()
        while frame.f_back is not None:
            frame = frame.f_back
            owner = modules.get(id(frame.f_locals.get("self")))
            if owner is not None:
                break
        else:
            owner = ""
        base = f"{owner}.weight".lstrip(".")
        taken = {w.name for w in self.weights.values()} | self.table.parameters.keys()
        names = (base if n == 1 else f"{base}#{n}" for n in range(1, len(taken) + 2))
        return next(name for name in names if name not in taken)

    # -- activations and the rest ----------------------------------------------------------------------------------

    def on_activation(self, index: int, func: Callable[..., Any], out: Tensor) -> None:
        """Pack the signs, once for each place where the samples may lie."""
        if not self.keeps.activations:
            return
        name = f"{func.__name__.strip('_')}@{index}"
        candidates = self.flow.candidates(out, candidates_by_size(out.shape, self.n_samples, range(out.dim())))
        if out.numel() == 0:
            self.reasons[name] = f"activation of shape {tuple(out.shape)}: has no elements"
            return
        if out.dtype not in KERNEL_DTYPES or not candidates.options:
            self.reasons[name] = f"activation of shape {tuple(out.shape)} and {out.dtype}: no axis holds the samples"
            return
        with torch.no_grad():
            views = [sample_axis.sample_first(out.detach(), self.n_samples) for sample_axis in candidates.options]
            n_packed, n_neurons = self.keeps.n_packed, out.numel() // self.n_samples
            words = tuple(kernels.pack_signs(view, n_packed) for view in views if n_packed)
            agreements = tuple(_agreements(view, n_neurons) for view in views if self.keeps.agreements)
        self.activations.append(
            ActivationCall(index, name, out.shape, candidates, n_neurons, words, n_packed, agreements)
        )

    def on_other(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run a call that is not observed; note when it receives a weight, writes into one, or couples samples."""
        if func.__name__ == "__get__":  # a property: neither a use nor a write
            return func(*args, **kwargs)
        if func in BATCH_NORMS:
            self._note_batch_norm(args, kwargs)
        for tensor in _written(func, args, kwargs):
            name = self.table.name_by_storage(tensor)
            if name is not None:
                self._protect(name)
        out = func(*args, **kwargs)
        received = tensors_in(args, kwargs)
        self.flow.follow(func, args, kwargs, received, out)
        if torch.is_grad_enabled() and func not in _NO_GRADIENT:
            self._note_uses(func, received, out)
        return out

    def _note_batch_norm(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        training = args[_BATCH_NORM_TRAINING] if len(args) > _BATCH_NORM_TRAINING else kwargs.get("training", False)
        if not training:
            return
        if self._independent_samples:
            raise InputError(
                "chunk_size needs samples that do not depend on each other, but a BatchNorm runs in train mode; "
                "call model.eval() first, or leave chunk_size out"
            )
        self.couples_samples = True

    def _note_uses(self, func: Callable[..., Any], received: list[Tensor], out: Any) -> None:
        for tensor in received:
            name = self.table.name_of(tensor)
            if name is None:
                derived = self.weights.get(id(tensor))
                name = None if derived is None else derived.name
            elif self.table.parameters[name].dim() < MATRIX_DIMS:
                continue
            if name is not None and any(self.table.name_of(result) != name for result in tensors_in(out)):
                self.reasons.setdefault(name, f"used by {func.__name__}, which is not a linear or convolution call")


def _agreements(view: Tensor, n_neurons: int) -> Tensor:
    """On how many neurons two samples agree (B, B), from an activation viewed as (B, ...)."""
    return kernels.agreement_counts(kernels.pack_signs(view, view.shape[0], "sample"), n_neurons)


def _again(out: Tensor, compute: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Give a call's output once more at its backward; computed anew if the model has written into it since.

    A detached alias keeps the values without a cycle from the output through its graph to itself.
    """
    alias = out.detach()
    version = alias._version

    def output() -> Tensor:
        if alias._version == version:
            return alias
        with torch.no_grad():
            return compute()

    return output


def _anchor(like: Tensor) -> Tensor:
    return torch.zeros((), device=like.device, requires_grad=True)


def _refusal(weight: Tensor, x: Tensor) -> str | None:
    """Why a call on this weight gives no statistic; raises where it would give a wrong one."""
    if torch._C._autograd._top_saved_tensors_default_hooks(False) is not None:
        raise UnsupportedModelError(
            "saved-tensor hooks are active (activation checkpointing, save_on_cpu): they recompute outside of the "
            "observer and can give wrong gradients; score the model without checkpointing"
        )
    if not torch.is_grad_enabled():
        return "called under torch.no_grad()"
    if weight.numel() == 0:
        return "has no elements"
    for tensor in (weight, x):
        if tensor.dtype not in KERNEL_DTYPES:
            return f"{tensor.dtype} is not supported (float32, float64, bfloat16, float16 are)"
    return None


def _autocast(*tensors: Tensor | None) -> tuple[Any, ...]:
    """Cast the operands as autocast would, inside the graph, so that what is saved has one dtype."""
    device = next(t.device.type for t in tensors if t is not None)
    if not torch.is_autocast_enabled(device):
        return tensors
    dtype = torch.get_autocast_dtype(device)
    return tuple(
        t.to(dtype) if t is not None and t.is_floating_point() and t.dtype != torch.float64 else t for t in tensors
    )


def _written(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """The tensors that this call writes into: `out=`, the first argument of `name_`, `__iadd__`, `__setitem__`.

    The functions of `nn.init` arrive with keywords only; all of them count then.
    """
    name = func.__name__
    in_place = name.endswith("_") and not name.endswith("__")
    augmented = name == "__setitem__" or (name.startswith("__i") and name.endswith("__"))
    targets = (args[:1] or tuple(kwargs.values())) if in_place or augmented else ()
    return tensors_in(targets, kwargs.get("out"))
