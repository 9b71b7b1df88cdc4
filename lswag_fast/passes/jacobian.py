"""The Jacobian pass: one forward, and one backward of the sum of all logits down to the inputs; no loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lswag_fast.data.batch import Batch, call_model
from lswag_fast.errors import InputError, UnsupportedModelError
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.registry import Pass
from lswag_fast.passes.shared.checks import model_errors, refuse_chunks
from lswag_fast.passes.shared.outputs import chosen_output, find_logits, real
from lswag_fast.passes.shared.preserve import freeze, preserve_model_state
from lswag_fast.passes.shared.targets import are_probabilities


@dataclass(frozen=True)
class JacobianMeasurements:
    """The Jacobian of the logits in the inputs.

    Attributes:
        jacobian: (B, D) float64; row b is the gradient of the sum of all logits in the inputs of sample b, flattened,
            several inputs side by side.
        classes: (B,), the class of each sample (statistic "classes"); None where the targets do not name one class per
            sample.
        n_classes: the length of the logits' last axis.
    """

    jacobian: Tensor
    classes: Tensor | None
    n_classes: int


def run_jacobian(
    model: nn.Module, batch: Batch, options: ScoreOptions, statistics: frozenset[str]
) -> JacobianMeasurements:
    """Differentiate the logits in every floating-point input that holds samples.

    The model runs in its own mode, as published. With a BatchNorm in train mode the samples depend on each other: row b
    is then the gradient of all samples' logits in sample b, and not of its own logits alone. A list of batches goes
    through as one.

    Raises:
        InputError: inputs that are not floating-point, outputs without logits, or a chunk size.
        UnsupportedModelError: the model cannot be differentiated in its inputs.
    """
    refuse_chunks(options, "jacobian")
    leaves: list[Tensor] = []

    def leaf(tensor: Tensor) -> Tensor:
        leaves.append(tensor.detach().clone().requires_grad_())
        return leaves[-1].clone()  # the model may work in place, which a leaf forbids

    with (
        preserve_model_state(model, options.seed),
        model_errors("jacobian", "on inputs that ask for a gradient"),
    ):
        freeze(model)
        inputs = batch.map_samples(leaf, "the jacobian pass differentiates the logits in the inputs").inputs
        logits = _differentiable(chosen_output(call_model(model, inputs), options.output))
        gradients = torch.autograd.grad(logits, leaves, torch.ones_like(logits), allow_unused=True)
    rows = [
        (torch.zeros_like(x) if g is None else g).double().flatten(1) for x, g in zip(leaves, gradients, strict=True)
    ]
    asked = "classes" in statistics and (callable(options.loss_fn) or options.is_cross_entropy)
    classes = _classes(batch.targets) if asked else None
    return JacobianMeasurements(torch.cat(rows, dim=1).detach(), classes, logits.shape[-1])


def _differentiable(outputs: Any) -> Tensor:
    logits = find_logits(outputs)
    if logits is None or logits.dim() == 0:
        raise InputError(
            f"the jacobian pass needs logits; the model returned {type(outputs).__name__} without a tensor of them"
        )
    if not logits.requires_grad:
        raise UnsupportedModelError("jacobian pass: the logits have no gradient in the inputs")
    return real(logits)


def _classes(targets: Any) -> Tensor | None:
    """The class of each sample, from indices (B,), or from rows of probabilities (B, C), one-hot ones too."""
    if not isinstance(targets, Tensor):
        return None
    if targets.dim() == 1 and not targets.is_floating_point():
        return targets.long()
    if targets.dim() == 2 and targets.shape[1] > 1 and are_probabilities(targets):
        return targets.double().argmax(1)
    return None


PASS = Pass(
    "jacobian",
    run_jacobian,
    ("jacobian", "classes"),
    "one forward and one backward of the sum of all logits, down to the inputs",
)
