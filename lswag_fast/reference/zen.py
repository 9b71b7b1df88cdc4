"""Zen-score on a float64 copy of the model, with the weights written into it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Collection

import torch
from torch import Tensor, nn


def zen(
    model: nn.Module,
    shape: tuple[int, ...],
    weights: Collection[str],
    features: Callable[[nn.Module, Tensor], Tensor],
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> float:
    """ln mean_b ||f(x) - f(x + 0.01 e)||_1 + sum_l ln sqrt(mean(running_var_l)).

    `shape` is that of the inputs, `weights` names the parameters that become N(0, 1), `features` is f. Normal numbers
    come in float32 from one generator: the weights in the order of `named_parameters`, then x, then e.

    Example:
        >>> model = nn.Linear(4, 8)
        >>> found = zen(model, (16, 4), {"weight"}, lambda model, x: model(x))
        >>> found == zen(model, (16, 4), {"weight"}, lambda model, x: model(x))
        True
    """
    model = copy.deepcopy(model).to(dtype).train().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        owner = model.get_submodule(name.rpartition(".")[0])
        norm = isinstance(owner, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm))
        if name in weights:
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        elif norm:
            parameter.fill_(1.0 if name.endswith("weight") else 0.0)
        elif name.endswith("bias") and name.removesuffix("bias") + "weight" in weights:
            parameter.zero_()
    norms = [m for m in model.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d))]
    for module in norms:
        module.reset_running_stats()
    x, e = (torch.randn(shape, generator=generator).to(dtype) for _ in "xe")
    f: list[Tensor] = []
    with torch.random.fork_rng(devices=[]):
        for inputs in (x, x + 0.01 * e):
            torch.manual_seed(seed)  # dropout drops the same
            f.append(features(model, inputs))
    distance = (f[0] - f[1]).abs().sum() / len(x)
    scales = [float(m.running_var.mean()) for m in norms if m.running_var is not None]
    return math.log(distance) + sum(math.log(math.sqrt(scale)) for scale in scales)
