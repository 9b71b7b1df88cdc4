"""grad_norm, plain, snip and fisher (Abdelfattah et al., ICLR 2021), from autograd on a float64 copy of the model.

`names` are the weights that count. `loss(outputs, targets)` is the mean over the samples, cross-entropy by default.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast.reference.models import as_float64, call_model

Loss = Callable[[Any, Any], Tensor]


def weights_and_gradients(
    model: nn.Module, batch: tuple[Any, Any], names: Iterable[str], loss: Loss = F.cross_entropy
) -> dict[str, tuple[Tensor, Tensor]]:
    """{name: (W, dL/dW)} of the mean loss L.

    Example:
        >>> batch = torch.ones(2, 3), torch.tensor([0, 1])
        >>> found = weights_and_gradients(nn.Linear(3, 2), batch, ["weight"])
        >>> [tensor.dtype for tensor in found["weight"]]
        [torch.float64, torch.float64]
    """
    model = copy.deepcopy(model).double()
    inputs, targets = map(as_float64, batch)
    weights = {name: parameter for name, parameter in model.named_parameters() if name in set(names)}
    gradients = torch.autograd.grad(loss(call_model(model, inputs), targets), list(weights.values()))
    return {name: (w.detach(), g) for (name, w), g in zip(weights.items(), gradients, strict=True)}


def grad_norm(pairs: Iterable[tuple[Tensor, Tensor]]) -> float:
    """sum_l ||dL/dW_l||_2 from (W, dL/dW).

    Example:
        >>> pairs = [(torch.tensor([1.0, -2.0]), torch.tensor([3.0, 4.0]))]
        >>> grad_norm(pairs)
        5.0
    """
    return math.fsum(float(gradient.norm()) for _, gradient in pairs)


def plain(pairs: Iterable[tuple[Tensor, Tensor]]) -> float:
    """sum_w w dL/dw.

    Example:
        >>> pairs = [(torch.tensor([1.0, -2.0]), torch.tensor([3.0, 4.0]))]
        >>> plain(pairs)
        -5.0
    """
    return math.fsum(float((weight * gradient).sum()) for weight, gradient in pairs)


def snip(pairs: Iterable[tuple[Tensor, Tensor]]) -> float:
    """sum_w |w dL/dw|.

    Example:
        >>> pairs = [(torch.tensor([1.0, -2.0]), torch.tensor([3.0, 4.0]))]
        >>> snip(pairs)
        11.0
    """
    return math.fsum(float((weight * gradient).abs().sum()) for weight, gradient in pairs)


def fisher(model: nn.Module, batch: tuple[Any, Any], loss: Loss = F.cross_entropy) -> float:
    """sum_k n_k Delta_k, Delta_k = 1/2 mean_b (sum_t a[b,t,k] dL/da[b,t,k])^2, over the output channels k of every
    `nn.Linear` and `nn.Conv1d/2d` module, n_k the weights of channel k. Each module is called once, samples first.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> with torch.no_grad():
        ...     _ = model.weight.fill_(2.0)
        >>> fisher(model, (torch.ones(2, 1), torch.zeros(2, 1)), lambda outputs, targets: outputs.mean())
        0.5
    """
    model = copy.deepcopy(model).double()
    kept: list[tuple[nn.Module, Tensor]] = []

    def keep(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        output.retain_grad()
        kept.append((module, output))
        return output.clone()  # an in-place activation must not overwrite what is kept

    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)):
            module.register_forward_hook(keep)
    inputs, targets = map(as_float64, batch)
    loss(call_model(model, inputs), targets).backward()  # type: ignore[no-untyped-call]
    total = 0.0
    for module, output in kept:
        if output.grad is None:
            continue
        axis = -1 if isinstance(module, nn.Linear) else 1
        products = (output * output.grad).movedim(axis, -1)  # (B, ..., O)
        delta = products.flatten(1, -2).sum(1) if products.dim() > 2 else products
        per_channel = module.weight[0].numel()  # type: ignore[index]
        total += float(delta.detach().square().mean(0).sum()) / 2 * per_channel
    return total
