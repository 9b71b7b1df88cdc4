"""Which models a pass can drive; everything else is refused by name, with what to pass instead."""

from __future__ import annotations

import torch
from torch import nn

from lswag_fast import kernels
from lswag_fast.data.batch import Batch
from lswag_fast.errors import DeviceMismatchError, InputError, UnsupportedModelError

_WRAPPERS = {
    "OptimizedModule": "torch.compile'd: score the original module (model._orig_mod)",
    "DistributedDataParallel": "wrapped in DistributedDataParallel: score model.module",
    "DataParallel": "wrapped in DataParallel: score model.module",
    "FullyShardedDataParallel": "wrapped in FullyShardedDataParallel: score the module before wrapping it",
}


def check_model(model: nn.Module, batch: Batch) -> torch.device:
    """Refuse what cannot be observed; returns the device of model and batch.

    Raises UnsupportedModelError (scripted, compiled, wrapped, quantised, sparse, meta, uninitialised),
    DeviceMismatchError (model and batch apart, or parameters on several devices), BackendUnavailableError (no kernels
    for the device) and InputError (gradients switched off around the call, a model without parameters).
    """
    if not isinstance(model, nn.Module):
        raise UnsupportedModelError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    for name, module in model.named_modules():
        _check_module(name or "the model", module)
    if torch.is_inference_mode_enabled() or not torch.is_grad_enabled():
        raise InputError(
            "gradients are switched off around the call (no_grad or inference_mode); call score outside of it"
        )
    return _common_device(model, batch)


def _check_module(name: str, module: nn.Module) -> None:
    kind = type(module)
    if isinstance(module, torch.jit.ScriptModule):
        raise UnsupportedModelError(f"{name} is scripted (torch.jit): score the original Python module")
    if kind.__name__ in _WRAPPERS and kind.__module__.startswith("torch."):
        raise UnsupportedModelError(f"{name} is {_WRAPPERS[kind.__name__]}")
    if getattr(module, "_compiled_call_impl", None) is not None:
        raise UnsupportedModelError(f"{name} is compiled in place (module.compile()): score a copy made before it")
    if "quantized" in kind.__module__.split(".") and kind.__module__.startswith("torch."):
        raise UnsupportedModelError(f"{name} is a quantised {kind.__name__}: score the float model")
    for parameter_name, parameter in module._parameters.items():  # named_parameters() costs ten times as much
        if parameter is None:
            continue
        where = f"{name}.{parameter_name}"
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise UnsupportedModelError(f"{where} is uninitialised (lazy module): run one forward pass first")
        if parameter.layout != torch.strided:
            raise UnsupportedModelError(f"{where} is sparse ({parameter.layout}): make it dense with .to_dense()")
        if parameter.is_meta:
            raise UnsupportedModelError(
                f"{where} lies on the meta device and has no values: materialise the model first"
            )


def _common_device(model: nn.Module, batch: Batch) -> torch.device:
    of_model = {p.device for p in model.parameters()}
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


def _listed(devices: set[torch.device]) -> str:
    return ", ".join(sorted(str(device) for device in devices))
