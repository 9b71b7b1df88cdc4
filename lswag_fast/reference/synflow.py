"""synflow, logsynflow, DSS and T-CET on a float64 copy of the model, with the positive weights written into it."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lswag_fast.reference.kernels import agreement
from lswag_fast.reference.models import as_float64, call_model

Pairs = dict[str, tuple[Tensor, Tensor]]
"""{name: (|W|, dR/dW)}."""


def positive_weights_and_gradients(model: nn.Module, inputs: Any, names: Iterable[str]) -> Pairs:
    """|W| and dR/dW for the named weights, R the sum of the outputs for one sample of ones, in eval mode.

    `inputs` is one tensor (B, ...). Every BatchNorm is replaced by the identity.

    Example:
        >>> found = positive_weights_and_gradients(nn.Linear(3, 2), torch.zeros(4, 3), ["weight"])
        >>> found["weight"][1].tolist()
        [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    model = copy.deepcopy(model).double().eval()
    for name, module in list(model.named_modules()):
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
            owner, _, key = name.rpartition(".")
            setattr(model.get_submodule(owner), key, nn.Identity())
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.copy_(tensor.abs())
    outputs = call_model(model, torch.ones_like(as_float64(inputs)[:1]))
    weights = {name: p for name, p in model.named_parameters() if name in set(names)}
    gradients = torch.autograd.grad(getattr(outputs, "logits", outputs).sum(), list(weights.values()))
    return {name: (w.detach(), g) for (name, w), g in zip(weights.items(), gradients, strict=True)}


def synflow(pairs: Pairs) -> float:
    """sum_w |w dR/dw|.

    Example:
        >>> pairs = {"w": (torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))}
        >>> synflow(pairs)
        11.0
    """
    return math.fsum(float((w * g).abs().sum()) for w, g in pairs.values())


def logsynflow(pairs: Pairs) -> float:
    """sum_w |w| ln(|dR/dw| + 1).

    Example:
        >>> logsynflow({"w": (torch.tensor([2.0]), torch.tensor([0.0]))})
        0.0
    """
    return math.fsum(float((w * (g.abs() + 1).log()).sum()) for w, g in pairs.values())


def dss(pairs: Pairs, attention: Iterable[str], others: Iterable[str]) -> float:
    """sum ||dR/dW||_* ||W||_* over the weights `attention`, plus sum |w dR/dw| over `others`.

    Example:
        >>> pairs = {"qkv": (torch.eye(2), torch.eye(2)), "fc": (torch.ones(1), torch.tensor([3.0]))}
        >>> dss(pairs, attention=["qkv"], others=["fc"])
        7.0
    """
    nuclear = [
        float(torch.linalg.svdvals(pairs[n][0]).sum() * torch.linalg.svdvals(pairs[n][1]).sum()) for n in attention
    ]
    return math.fsum(nuclear) + synflow({name: pairs[name] for name in others})


def t_cet(pairs: Pairs, activations: Sequence[Tensor], feeding: dict[str, int]) -> float:
    """sum_l ln|det K_l| sum(s_l) / std(s_l), s = |w dR/dw|; `feeding` is the activation (B, ...) of each weight l.

    Example:
        >>> pairs = {"w": (torch.tensor([1.0, 2.0]), torch.tensor([1.0, 1.0]))}  # s = 1, 2
        >>> activation = torch.tensor([[1.0, -1.0, 1.0], [1.0, 1.0, -1.0]])  # det K = 8
        >>> round(t_cet(pairs, [activation], {"w": 0}), 6) == round(math.log(8) * 3 / math.sqrt(0.5), 6)
        True
    """
    total = 0.0
    for name, (w, g) in pairs.items():
        a = activations[feeding[name]]
        s = (w * g).abs()
        total += float(torch.linalg.slogdet(agreement(a, len(a))).logabsdet * s.sum() / s.std())
    return total
