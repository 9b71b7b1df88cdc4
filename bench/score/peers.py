"""What people use today for the numbers of L-SWAG: per-sample gradients of Linear and Conv weights, `torch.unique`.

Each maker takes `(model, images, labels)` and returns a call without arguments. The gradient methods return
sum_l ln sum 1/sigma with sigma^2 = E g^2 - (E |g|)^2 from two running sums (the natural `var(0)` of all per-sample
gradients is many times slower); the pattern method returns the summed cardinalities.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Run = Callable[[], float]
PATTERN_MARGIN = 2  # the pattern samples of `pattern_samples="auto"`: S = ceil(log2 V) + 2, at most the batch
ACTIVATIONS = (F.relu, F.gelu)  # the ones that the measured networks call


def watched_weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights of Linear and Conv2d modules by name; every other parameter is frozen, so nobody pays for it."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    layers = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)}
    weights = {f"{name}.weight": module.weight for name, module in layers.items()}
    for weight in weights.values():
        weight.requires_grad_(True)
    return weights


def summed_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy summed over the samples, so that no gradient is scaled by 1/B."""
    return F.cross_entropy(logits, labels, reduction="sum")


class Sums:
    """Running sums of |g| and g^2 over the samples, for each weight."""

    def __init__(self) -> None:
        self.absolute: dict[Any, Tensor] = {}
        self.squared: dict[Any, Tensor] = {}
        self.n_samples = 0

    def add(self, key: Any, gradient: Tensor) -> None:
        """Add one sample's gradient of one weight."""
        if key not in self.absolute:
            self.absolute[key], self.squared[key] = torch.zeros_like(gradient), torch.zeros_like(gradient)
        self.absolute[key].add_(gradient.abs())
        self.squared[key].addcmul_(gradient, gradient)

    def add_all(self, key: Any, gradients: Tensor) -> None:
        """Add the gradients (B, ...) of one weight, one sample after the other: what is added to stays in the cache."""
        for gradient in gradients:
            self.add(key, gradient)

    def trainability(self, n_samples: int) -> float:
        """Sum over the weights of ln sum 1/sigma, elements without variance left out."""
        total = 0.0
        for absolute, squared in zip(self.absolute.values(), self.squared.values(), strict=True):
            variance = squared / n_samples - (absolute / n_samples).square_()
            inverse = torch.where(variance > 0, variance.rsqrt(), 0.0)
            total += math.log(inverse.sum(dtype=torch.float64).item())
        return total


def loop(model: nn.Module, images: Tensor, labels: Tensor) -> Run:
    """One forward and backward pass per sample."""
    weights = watched_weights(model)

    def run() -> float:
        sums = Sums()
        for b in range(len(images)):
            loss = summed_cross_entropy(model(images[b : b + 1]), labels[b : b + 1])
            for name, gradient in zip(weights, torch.autograd.grad(loss, list(weights.values())), strict=True):
                sums.add(name, gradient)
        return sums.trainability(len(images))

    return run


def vmap(model: nn.Module, images: Tensor, labels: Tensor) -> Run:
    """`torch.func.vmap(grad(...))` over the whole batch."""
    weights = {name: weight.detach() for name, weight in watched_weights(model).items()}

    def loss(weights: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        return summed_cross_entropy(torch.func.functional_call(model, weights, (image[None],)), label[None])

    per_sample = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))

    def run() -> float:
        sums = Sums()
        for name, gradients in per_sample(weights, images, labels).items():
            sums.add_all(name, gradients)
        return sums.trainability(len(images))

    return run


def opacus(model: nn.Module, images: Tensor, labels: Tensor) -> Run:
    """Opacus: hooks keep `grad_sample` (B, ...) on each weight. It needs train mode; BatchNorm stays in eval mode."""
    from opacus.grad_sample import GradSampleModule

    weights = watched_weights(model)
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    wrapped = GradSampleModule(model, loss_reduction="sum", strict=False)

    def run() -> float:
        sums = Sums()
        summed_cross_entropy(wrapped(images), labels).backward()
        for name, weight in weights.items():
            sums.add_all(name, weight.grad_sample)
            weight.grad_sample = weight.grad = None
        return sums.trainability(len(images))

    return run


def backpack(model: nn.Module, images: Tensor, labels: Tensor) -> Run:
    """BackPACK's BatchGrad, each layer reduced and freed by the extension hook as soon as it is there."""
    from backpack import backpack as active
    from backpack import extend
    from backpack.extensions import BatchGrad

    watched_weights(model)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            extend(module)

    def run() -> float:
        sums = Sums()

        def reduce(module: nn.Module) -> None:
            gradients = getattr(getattr(module, "weight", None), "grad_batch", None)
            if gradients is not None:
                sums.add_all(module, gradients)
                del module.weight.grad_batch

        with active(BatchGrad(), extension_hook=reduce):
            summed_cross_entropy(model(images), labels).backward()
        model.zero_grad(set_to_none=True)
        return sums.trainability(len(images))

    return run


class ActivationOutputs(TorchFunctionMode):
    """Collects what the activation functions return."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in ACTIVATIONS:
            self.outputs.append(result)
        return result


def unique(model: nn.Module, images: Tensor, labels: Tensor) -> Run:
    """`torch.unique(dim=0)` on the sign patterns (V, S) of each activation; the signs are collected beforehand."""
    with torch.no_grad(), ActivationOutputs() as seen:
        model(images)
    n_neurons = max(output[0].numel() for output in seen.outputs)
    n_pattern = min(len(images), math.ceil(math.log2(n_neurons)) + PATTERN_MARGIN)
    signs = [(output[:n_pattern].flatten(1) > 0).t().contiguous() for output in seen.outputs]

    def run() -> float:
        return float(sum(len(torch.unique(patterns, dim=0)) for patterns in signs))

    return run


GRADIENT_PEERS: dict[str, Callable[[nn.Module, Tensor, Tensor], Run]] = {
    "loop": loop,
    "vmap": vmap,
    "opacus": opacus,
    "backpack": backpack,
}
PEERS = {**GRADIENT_PEERS, "unique": unique}


def of_first(maker: Callable[[nn.Module, Tensor, Tensor], Run], n_samples: int) -> Callable[..., Run]:
    """The same of the first samples of a batch only."""

    def make(model: nn.Module, images: Tensor, labels: Tensor) -> Run:
        return maker(model, images[:n_samples], labels[:n_samples])

    return make
