"""Trainability of every layer of public networks, against a loop over the samples in float64."""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast import score
from lswag_fast.data.batch import call_model
from lswag_fast.errors import LswagWarning
from lswag_fast.result import LayerScore
from public_networks import PublicNetwork, each_network
from support.kernel_calls import KernelCall, each_kernel_call

SHOWN = 4  # pattern samples, so that a small batch needs no warning
# Float64 sums in another order; a small sigma, which weighs most, is the difference of nearly equal gradients.
TOLERANCE = 1e-7
EDGE = 1e-6  # a sigma this near to a bound may lie on its other side: the same reason, for a single one


@dataclass(frozen=True)
class Bounds:
    """What counts as zero variance in one call of the kernel, besides zero."""

    rounding: float
    least: float

    def kept(self, sigma: Tensor, edge: float) -> Tensor:
        """Which standard deviations count, with every bound moved by a share `edge` so that fewer do."""
        rounding = (sigma > self.rounding * 2.0**-16 * (1 - edge)) & (sigma <= self.rounding * (1 + edge))
        return (sigma > 0) & (sigma >= self.least * (1 + edge)) & ~rounding


def losses(net: PublicNetwork, outputs: Any, targets: Tensor) -> Tensor:
    """The cross-entropy of each sample (B,), summed over its positions."""
    output = net.options.get("output")
    if output is not None:
        logits = output(outputs) if callable(output) else outputs[output]
    else:
        logits = outputs if isinstance(outputs, Tensor) else outputs.logits
    if targets.dim() == 2:  # one token each: (B, T, C)
        logits = logits.transpose(1, 2)
    return F.cross_entropy(logits, targets, reduction="none").reshape(len(targets), -1).sum(1)


def sigmas(net: PublicNetwork, model: nn.Module, batch: Any, names: list[str]) -> dict[str, Tensor]:
    """The standard deviation over the samples of the absolute gradients of each element, by parameter."""
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")  # the grouped product of torch has no float64
    each = losses(net, call_model(model, batch[0]), batch[1])
    parameters = dict(model.named_parameters())
    weights = [parameters[name] for name in names]
    rows = [torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True) for loss in each]
    found = {}
    for k, (name, weight) in enumerate(zip(names, weights, strict=True)):
        of_weight = [torch.zeros_like(weight) if row[k] is None else row[k] for row in rows]
        gradients = torch.stack(of_weight).abs().flatten(1)
        found[name] = gradients.std(0, correction=0).where((gradients != gradients[:1]).any(0), 0.0)
    return found


def agrees(sigma: Tensor, layers: list[LayerScore], bounds: list[Bounds]) -> bool:
    """Whether ln sum 1/sigma and what is left out of it are those of the layers, all pieces of one parameter.

    Where there are several pieces, elements that count under the bounds of some of them may or may not.
    """
    surely, perhaps = (torch.stack([of_piece.kept(sigma, edge) for of_piece in bounds]) for edge in (EDGE, -EDGE))
    surely, perhaps = surely.all(0), perhaps.any(0)
    n_zero = sum(layer.n_zero_variance for layer in layers)
    # Of a look-up only the rows that occur are looked at.
    fewest = 0 if layers[0].kind == "embedding" else int((~perhaps).sum())
    if not fewest <= n_zero <= int((~surely).sum()):
        return False
    found = sum(math.exp(layer.trainability) for layer in layers)
    low, high = (float((1 / sigma[kept]).sum()) for kept in (surely, perhaps))
    return low * math.exp(-TOLERANCE) <= found <= high * math.exp(TOLERANCE)


@each_network()
def test_trainability_is_that_of_a_loop_over_the_samples(net: PublicNetwork) -> None:
    model, batch = net.build(torch.float64)
    bounds: dict[str, list[Bounds]] = defaultdict(list)

    def note_bounds(call: KernelCall) -> None:
        bounds[call.name].append(Bounds(call.rounding, call.least))

    with warnings.catch_warnings(), each_kernel_call(note_bounds):
        warnings.simplefilter("ignore", LswagWarning)  # of a coverage that is expected to be low
        found = score(model, batch, pattern_samples=SHOWN, **net.options)
    layers = defaultdict(list)
    for layer in found.layers:
        if layer.kind != "derived":  # a computed weight has no name to ask torch for
            layers[layer.name].append(layer)
    assert layers
    for name, sigma in sigmas(net, model, batch, list(layers)).items():
        assert agrees(sigma, layers[name], bounds[name]), name
