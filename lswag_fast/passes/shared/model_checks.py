"""Which models a pass can drive; everything else is refused by name, with what to pass instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.fx import GraphModule

from lswag_fast import kernels
from lswag_fast.data.batch import Batch
from lswag_fast.errors import DeviceMismatchError, InputError, ProxyFailedError, UnsupportedModelError, warn
from lswag_fast.observe.modules import named_modules, named_parameters
from lswag_fast.options import Precision
from lswag_fast.passes.shared.checks import listed, not_differentiable, one_line

# How torch says that it cannot compute with these dtypes, or with these shapes.
_OF_DTYPES = re.compile(r"\b(d?types?|scalar types?)\b|not implemented for")
_OF_SHAPES = re.compile(
    r"shapes cannot be multiplied|Given groups=|primitive descriptor|must match the size|is invalid for input of size"
    r"|Given normalized_shape|running_mean should contain|size mismatch|must be equal to input_size"
    r"|Kernel size can't be greater"
)
_OF_INDICES = re.compile(r"^index .*out of (range|bounds)")  # how torch says that a table has no such row
# How autograd refuses a step of the forward pass, or a gradient that the model or the loss takes itself.
_OF_AUTOGRAD = re.compile(
    r"modified by an inplace operation|is being modified inplace|a leaf Variable that requires grad"
    r"|does not require grad|backward through the graph a second time|can be implicitly created only for"
    r"|appears to not have been used|implement either the backward or vjp"
)
_WRAPPERS = {
    "OptimizedModule": "torch.compile'd: score the original module (model._orig_mod)",
    "DistributedDataParallel": "wrapped in DistributedDataParallel: score model.module",
    "DataParallel": "wrapped in DataParallel: score model.module",
    "FullyShardedDataParallel": "wrapped in FullyShardedDataParallel: score the module before wrapping it",
}


def check_model(model: nn.Module, batch: Batch) -> torch.device:
    """Refuse what cannot be observed; returns the device of model and batch.

    Raises UnsupportedModelError (scripted, compiled, exported, wrapped, quantised, sparse, meta, uninitialised),
    DeviceMismatchError (model and batch apart, or parameters on several devices), BackendUnavailableError (no kernels
    for the device) and InputError (gradients switched off around the call, a model without parameters).
    """
    if not isinstance(model, nn.Module):
        raise UnsupportedModelError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    if torch.is_inference_mode_enabled() or not torch.is_grad_enabled():
        raise InputError(
            "gradients are switched off around the call (no_grad or inference_mode); call score outside of it"
        )
    modules = named_modules(model)
    for name, module in modules:
        _check_module(name or "the model", module)
    parameters = named_parameters(modules)
    hooked = [name for name, parameter in parameters.items() if parameter._backward_hooks]
    if hooked:
        warn(f"{listed(hooked)}: hooks that change a weight's gradient (register_hook) are not applied to its samples'")
    for name, tensor in batch.tensors.items():
        if tensor.is_inference():
            raise InputError(f"batch {name} was made under inference_mode; pass {name}.clone(), made outside of it")
    return _common_device(parameters.values(), batch)


def check_not_transformed() -> None:
    """Refuse a call from inside of `torch.func` or of a `FakeTensorMode`, where tensors have no values to look at."""
    if torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE) is not None:
        raise InputError("score was called inside of a FakeTensorMode, whose tensors have no values; call it outside")
    if torch._C._functorch.peek_interpreter_stack() is not None:
        raise InputError("score was called inside of torch.func (vmap, grad, ...); call it outside, on plain tensors")


@contextmanager
def batch_named(model: nn.Module, batch: Batch, precision: Precision = "float32") -> Iterator[None]:
    """Say where torch could not compute with a batch what the batch was, in the place of torch's words alone.

    And where it could not differentiate the model, that this is so.

    A model may convert or cut its inputs itself, so that their dtype and shape are refused only when it cannot take
    them. Under autocast torch has no product of some dtypes that a model mixes; then `precision` is named, too.

    Raises:
        InputError: torch failed on the dtypes of inputs and weights, or on an index, with inputs of whole numbers.
        UnsupportedModelError: torch failed on the shapes, or cannot differentiate the model.
    """
    try:
        yield
    except ProxyFailedError as error:
        cause = error.__cause__
        if isinstance(cause, RuntimeError) and _OF_AUTOGRAD.search(str(cause)):
            raise not_differentiable(cause) from cause
        inputs = {name: t for name, t in batch.tensors.items() if name.startswith("inputs")}
        if isinstance(cause, IndexError) and _OF_INDICES.search(str(cause)):
            _refuse_indices(inputs, cause)
        if not isinstance(cause, RuntimeError) or not inputs:
            raise
        of_batch, of_model = {t.dtype for t in inputs.values()}, {p.dtype for p in model.parameters()}
        if _OF_DTYPES.search(str(cause)) and of_batch.isdisjoint(of_model):
            raise InputError(
                f"the inputs are {_listed(of_batch)}, the model's weights {_listed(of_model)}, and the model converts "
                f"neither; convert the inputs: x.to({_listed(of_model)}) ({one_line(cause)})"
            ) from cause
        if _OF_DTYPES.search(str(cause)) or _OF_SHAPES.search(str(cause)):
            shown = ", ".join(f"{name} {tuple(t.shape)} of {t.dtype}" for name, t in inputs.items())
            shown += "" if precision == "float32" else f", with precision={precision!r}; leave precision out"
            raise UnsupportedModelError(
                f"the model cannot compute with this batch, {shown}: {one_line(cause)}"
            ) from cause
        raise


def _refuse_indices(inputs: Mapping[str, Tensor], cause: IndexError) -> None:
    """Raise InputError with what whole numbers the inputs hold, where they hold any: tokens, say, that no table has."""
    ranges = [
        f"{name} run from {int(t.min())} to {int(t.max())}"
        for name, t in inputs.items()
        if t.numel() and not t.is_floating_point() and not t.is_complex() and t.dtype != torch.bool
    ]
    if ranges:
        raise InputError(
            f"the model looks up what it has no row for: {', '.join(ranges)}; does its table have as many rows as "
            f"there are tokens, and as many positions as they are long? ({one_line(cause)})"
        ) from cause


def _check_module(name: str, module: nn.Module) -> None:
    kind = type(module)
    if isinstance(module, torch.jit.ScriptModule):
        raise UnsupportedModelError(f"{name} is scripted (torch.jit): score the original Python module")
    if kind.__name__ in _WRAPPERS and kind.__module__.startswith("torch."):
        raise UnsupportedModelError(f"{name} is {_WRAPPERS[kind.__name__]}")
    if getattr(module, "_compiled_call_impl", None) is not None:
        raise UnsupportedModelError(f"{name} is compiled in place (module.compile()): score a copy made before it")
    if isinstance(module, GraphModule) and any(isinstance(node.target, OpOverload) for node in module.graph.nodes):
        raise UnsupportedModelError(f"{name} was exported (torch.export): score the original Python module")
    if "quantized" in kind.__module__.split(".") and kind.__module__.startswith("torch."):
        raise UnsupportedModelError(f"{name} is a quantised {kind.__name__}: score the float model")
    for parameter_name, parameter in module._parameters.items():
        if parameter is None:
            continue
        where = f"{name}.{parameter_name}"
        if type(parameter) is not nn.Parameter and isinstance(parameter, nn.parameter.UninitializedParameter):
            raise UnsupportedModelError(f"{where} is uninitialised (lazy module): run one forward pass first")
        if parameter.is_inference():
            raise UnsupportedModelError(
                f"{where} was made under inference_mode, where torch allows no gradients: build the model outside of it"
            )
        if parameter.layout != torch.strided:
            raise UnsupportedModelError(f"{where} is sparse ({parameter.layout}): make it dense with .to_dense()")
        if parameter.is_meta:
            raise UnsupportedModelError(
                f"{where} lies on the meta device and has no values: materialise the model first"
            )


def _common_device(parameters: Iterable[nn.Parameter], batch: Batch) -> torch.device:
    of_model = {p.device for p in parameters}
    of_batch = {t.device for t in batch.tensors.values()}
    if not of_model:
        raise InputError("the model has no parameters")
    if len(of_model) > 1:
        raise DeviceMismatchError(f"the model's parameters lie on several devices: {_listed(of_model)}; move it to one")
    if of_batch != of_model:
        raise DeviceMismatchError(
            f"the model lies on {_listed(of_model)}, the batch on {_listed(of_batch)}; move the batch with .to(device)"
        )
    device = of_model.pop()
    kernels.require_device(device)
    return device


def _listed(found: set[torch.device] | set[torch.dtype]) -> str:
    return ", ".join(sorted(map(str, found)))
