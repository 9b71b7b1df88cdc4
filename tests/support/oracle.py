"""Independent values to compare a score with: plain torch, no kernels, no observer."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast import reference
from networks import Network

SHOWN = 4
"""Pattern samples that the tests ask for, so that small batches need no warning."""


def summed_loss(net: Network) -> Callable[[Any, Any], Tensor]:
    """The network's own loss or cross-entropy on the output or its logits, summed over the samples."""

    def loss(outputs: Any, targets: Any) -> Tensor:
        if net.loss_fn is not None:
            return net.loss_fn(outputs, targets).sum()
        return F.cross_entropy(getattr(outputs, "logits", outputs), targets, reduction="sum")

    return loss


def exact_gradients(net: Network, names: Iterable[str]) -> dict[str, Tensor]:
    """Per-sample gradients in float64, one sample at a time."""
    model, batch = net.build()
    return reference.per_sample_gradients(model, batch, names, summed_loss(net))


def plain_gradients(net: Network, names: Iterable[str], dtype: torch.dtype) -> dict[str, Tensor]:
    """Per-sample gradients as plain torch gives them in `dtype`: {name: (B, ...)}."""
    model, (inputs, targets) = net.build(dtype)
    parameters, loss = dict(model.named_parameters()), summed_loss(net)
    names = tuple(names)
    rows = []
    for b in range(len(targets)):
        total = loss(call(model, one(inputs, b)), one(targets, b))
        rows.append(torch.autograd.grad(total, [parameters[name] for name in names]))
    return {name: torch.stack([row[k] for row in rows]) for k, name in enumerate(names)}


def shares_of_the_batch_gradient(net: Network) -> dict[str, Tensor]:
    """Each sample's share of one batch gradient: the outer products of its own positions, from module hooks.

    Covers `nn.Linear` and `nn.Conv2d` modules that are called once.
    """
    model, (inputs, targets) = net.build()
    model = copy.deepcopy(model)
    operands: dict[str, list[Tensor]] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            operands[name] = [args[0].detach().clone()]
            output.register_hook(lambda grad: operands[name].append(grad.clone()))

        return hook

    layers = {n: m for n, m in model.named_modules() if isinstance(m, (nn.Linear, nn.Conv2d))}
    for name, module in layers.items():
        module.register_forward_hook(keep(name))
    summed_loss(net)(call(model, inputs), targets).backward()
    return {f"{name}.weight": _share(module, *operands[name]) for name, module in layers.items()}


def _share(module: nn.Module, x: Tensor, grad_out: Tensor) -> Tensor:
    if isinstance(module, nn.Conv2d):
        geometry = module.stride, module.padding, module.dilation, module.groups
        return reference.conv_gradients(x, grad_out, module.weight.shape, *geometry)
    return reference.linear_gradients(x, grad_out)


def module_activations(model: nn.Module, inputs: Any) -> list[Tensor]:
    """Outputs (B, ...) of the activation modules in order of execution, copied before anything changes them."""
    kinds = (nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Tanh, nn.ELU, nn.CELU, nn.SELU, nn.Mish, nn.Hardswish)
    kinds = (*kinds, nn.LeakyReLU, nn.PReLU)
    model = copy.deepcopy(model)
    outputs: list[Tensor] = []
    for module in model.modules():
        if isinstance(module, kinds):
            module.register_forward_hook(lambda _module, _args, out: outputs.append(out.detach().clone()))
    call(model, inputs)
    return outputs


def trainability_of(gradients: Tensor) -> float:
    """Lambda_l of per-sample gradients; -inf where none varies."""
    total = reference.gradient_statistics(gradients)["sum_inv_sigma"]
    return math.log(total) if total > 0 else -math.inf


def call(model: nn.Module, inputs: Any) -> Any:
    """Call the model as its inputs ask: a dict by keyword, a tuple by position."""
    if isinstance(inputs, dict):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple) else model(inputs)


def one(value: Any, b: int) -> Any:
    """Sample b of a batch, as a batch of one."""
    if isinstance(value, dict):
        return {key: item[b : b + 1] for key, item in value.items()}
    return tuple(item[b : b + 1] for item in value) if isinstance(value, tuple) else value[b : b + 1]


_FEATURE_KINDS = {
    "linear": "weight",
    "conv1d": "weight",
    "conv2d": "weight",
    "batch_norm": "norm",
    "layer_norm": "norm",
    "relu": "activation",
    "gelu": "activation",
    "silu": "activation",
    "leaky_relu": "activation",
}


def plain_features(model: nn.Module, inputs: Any) -> list[tuple[str, Tensor]]:
    """(kind, output with the channels last) of each call, in order; (B, C, H, W) are images, all else channels last."""
    found: list[tuple[str, Tensor]] = []

    def watching(function: Callable[..., Tensor], kind: str) -> Callable[..., Tensor]:
        def run(*args: Any, **kwargs: Any) -> Tensor:
            out = function(*args, **kwargs)
            found.append((kind, (out.movedim(1, -1) if out.dim() == 4 else out).detach().clone()))
            return out

        return run

    with torch.no_grad(), mock.patch.multiple(F, **{n: watching(getattr(F, n), k) for n, k in _FEATURE_KINDS.items()}):
        call(copy.deepcopy(model), inputs)
    return found


def features_of(model: nn.Module, inputs: Any, *kinds: str) -> list[Tensor]:
    """Those of some kinds."""
    return [values for kind, values in plain_features(model, inputs) if kind in kinds]
