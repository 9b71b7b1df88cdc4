"""Trainability of every layer of public networks, against a loop over the samples in float64."""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast import score
from lswag_fast.data.batch import call_model
from lswag_fast.errors import LswagWarning
from lswag_fast.result import LayerScore
from public_networks import PublicNetwork, each_network

SHOWN = 4  # pattern samples, so that a small batch needs no warning
# Float64 sums in another order; a small sigma, which weighs most, is the difference of nearly equal gradients.
TOLERANCE = 1e-7
# Known to differ. A saturated GELU has gradients down to 1e-320, whose squares float64 does not hold: in the scores
# they count as constant, so that the largest terms of the sum are missing.
UNDERFLOWING = {"timm/visformer_tiny"}
BAND = (0, 16, 29, 45)  # see `agrees`


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


def agrees(sigma: Tensor, layers: list[LayerScore]) -> bool:
    """Whether ln sum 1/sigma is that of the layers, all pieces of one parameter.

    What is a rounding error is left out of the score: standard deviations within (r / 2^16, r] for a bound r that
    follows from the operands of the calls, or within the same of 2^-29 r. The bound has tests of its own; here, any is
    accepted that explains both how many elements are missing from the score and what they took from the sum.
    """
    found = sum(math.exp(layer.trainability) for layer in layers)
    varying = sigma[sigma > 0].sort().values
    if found == 0 or len(varying) == 0:
        return found == len(varying) == 0
    n_zero = sum(layer.n_zero_variance for layer in layers)
    if n_zero == len(sigma) - len(varying):
        return close(float((1 / varying).sum()), found)
    # Sums over all that is above, so that the smallest, whose terms are the largest, do not drown the others.
    above = F.pad((1 / varying).flip(0).cumsum(0).flip(0), (0, 1))
    below = F.pad((1 / varying).cumsum(0), (1, 0))
    for bounds in (varying * 2.0**power for power in BAND):
        ends = [torch.searchsorted(varying, bounds * 2.0**-power, right=True) for power in BAND]
        n_constant = n_zero - (ends[0] - ends[1] + ends[2] - ends[3])
        total = above[ends[0]] + above[ends[2]] - above[ends[1]] + below[ends[3]]
        counted = n_constant == len(sigma) - len(varying)
        if layers[0].kind == "embedding":  # only the rows that occur are looked at
            counted = (n_constant >= 0) & (n_constant <= len(sigma) - len(varying))
        if any(close(one, found) for one in total[counted].unique().tolist()):
            return True
    return False


def close(total: float, found: float) -> bool:
    """Whether two sums have the same logarithm."""
    return total > 0 and math.isclose(math.log(total), math.log(found), rel_tol=TOLERANCE, abs_tol=TOLERANCE)


@each_network()
def test_trainability_is_that_of_a_loop_over_the_samples(net: PublicNetwork, request: pytest.FixtureRequest) -> None:
    if net.name in UNDERFLOWING:
        request.applymarker(pytest.mark.xfail(strict=True, reason="gradients below 1e-154"))
    model, batch = net.build(torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LswagWarning)  # of a coverage that is expected to be low
        found = score(model, batch, pattern_samples=SHOWN, **net.options)
    layers = defaultdict(list)
    for layer in found.layers:
        if layer.kind != "derived":  # a computed weight has no name to ask torch for
            layers[layer.name].append(layer)
    assert layers
    for name, sigma in sigmas(net, model, batch, list(layers)).items():
        assert agrees(sigma, layers[name]), name
