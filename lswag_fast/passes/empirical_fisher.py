"""The empirical Fisher pass: one forward, a backward for each class, and one scalar of each weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast.data.batch import Batch
from lswag_fast.errors import InputError, NothingObservedError
from lswag_fast.kernels import ConvGeometry
from lswag_fast.observe import CaptureOptions, Observation, ObservedWeight, observe
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.registry import Pass
from lswag_fast.passes.shared.checks import backward_errors, refuse_chunks
from lswag_fast.passes.shared.outputs import chosen_output, find_logits, real
from lswag_fast.passes.shared.preserve import preserve_model_state
from lswag_fast.passes.shared.reducer import Reducer

MOST_WEIGHTS = 128
"""How many weights have a scalar in the matrix: the first ones, in order of execution."""

SMOOTHING = 0.05
"""The share of the uniform distribution that is mixed into the probabilities of the classes."""

_LOGIT_DIMS = 2  # (B, C)


@dataclass(frozen=True)
class EmpiricalFisherMeasurements:
    """The Fisher information of some scalars.

    Attributes:
        information: (K, K) float64, the mean over the samples of J^T (diag(p) - p p^T) J; J (C, K) holds the
            derivatives of the sample's logits in the first element of each of the first K <= 128 observed weights, p
            the softmax of the logits, with .05 of the uniform distribution mixed into it.
        n_parameters: the parameter tensors of the model, tied ones counted once.
    """

    information: Tensor
    n_parameters: int


def run_empirical_fisher(
    model: nn.Module, batch: Batch, options: ScoreOptions, statistics: frozenset[str]
) -> EmpiricalFisherMeasurements:
    """Differentiate each logit in eval mode, in which BatchNorm keeps the samples apart.

    The forward runs once, and its graph is kept for the classes. Look-ups of rows are left out; `options.layers`
    chooses the weights. A list of batches goes through as one.

    Raises:
        InputError: outputs that are no logits (B, C) of at least two classes, or a chunk size.
        NothingObservedError: no weight could be observed.
    """
    refuse_chunks(options, "empirical_fisher")
    whole = replace(batch.copied(), n_batches=1)
    with preserve_model_state(model, options.seed, watched=False) as snapshot:
        model.eval()
        capture = CaptureOptions(0, activations=False)
        with observe(model, whole, capture, before_write=snapshot.protect_memory) as observation:
            logits = _checked(chosen_output(observation.run(), options.output), whole.n_samples)
            jacobian = _jacobian(observation, logits, options)
    return EmpiricalFisherMeasurements(_information(logits.detach().double(), jacobian), len(list(model.parameters())))


def _checked(outputs: Any, n_samples: int) -> Tensor:
    logits = find_logits(outputs)
    if logits is None or logits.dim() != _LOGIT_DIMS or len(logits) != n_samples:
        found = type(outputs).__name__ if logits is None else tuple(logits.shape)
        raise InputError(f"the empirical_fisher pass needs logits (B, C); the model returned {found}")
    if logits.shape[1] < 2:  # their softmax is 1 whatever the weights are
        raise InputError("the empirical_fisher pass needs logits of two classes or more; the model returned one")
    return real(logits)


def _jacobian(observation: Observation, logits: Tensor, options: ScoreOptions) -> Tensor:
    """The derivatives of each sample's logits in the scalars, (B, C, K) float64."""
    reducer = _ScalarReducer(options, len(logits))
    weights = reducer.choose(observation.weights, len(logits))
    if not weights:
        reasons = "; ".join(f"{skip.name}: {skip.reason}" for skip in observation.skipped)
        raise NothingObservedError(f"empirical_fisher pass: no weight could be observed. {reasons}")
    names = [weight.name for weight in weights]
    rows = []
    for logit in logits.unbind(1):
        reducer.derivatives = {}
        with backward_errors():
            observation.backward(logit.sum(), weights, reducer, keep_graph=True)
        zeros = logit.new_zeros(len(logit), dtype=torch.float64)  # of a weight that no gradient reaches
        rows.append(torch.stack([reducer.derivatives.get(name, zeros) for name in names], dim=1))
    return torch.stack(rows, dim=1)


class _ScalarReducer(Reducer):
    """Keeps the derivatives (B,) in the first element of each weight."""

    def __init__(self, options: ScoreOptions, n_samples: int) -> None:
        super().__init__(options, n_samples)
        self.derivatives: dict[str, Tensor] = {}

    def choose(self, weights: Sequence[ObservedWeight], n_samples: int) -> list[ObservedWeight]:
        """The first piece of each of the first weights."""
        pieces: dict[str, ObservedWeight] = {}
        for weight in super().choose([weight for weight in weights if not weight.looks_up], n_samples):
            pieces.setdefault(weight.name, weight)
        return list(pieces.values())[:MOST_WEIGHTS]

    def reduce_weight(self, weight: ObservedWeight) -> None:
        """Add up over the calls and positions."""
        pairs = weight.gradient_operands(self._n_samples)
        self.derivatives[weight.name] = sum(
            (_first_element(x, grad_out, weight.conv) for x, grad_out in pairs),
            start=torch.zeros(self._n_samples, dtype=torch.float64, device=weight.view.device),
        )


def _first_element(x: Tensor, grad_out: Tensor, conv: ConvGeometry | None) -> Tensor:
    """The gradient (B,) of the samples in the element [0, 0, ...] of a weight; see `kernels.gradient_stats`."""
    if conv is None:
        return (x[..., 0].double() * grad_out[..., 0].double()).reshape(len(x), -1).sum(1)
    grads = grad_out[:, 0].double()
    padding = [side for amount in reversed(conv.padding) for side in (amount, amount)]
    seen = F.pad(x[:, 0].double(), padding)  # by the first element of the kernel, at each position of the output
    for axis, (stride, size) in enumerate(zip(conv.stride, grads.shape[1:], strict=True), 1):
        seen = seen.index_select(axis, torch.arange(size, device=seen.device) * stride)
    return (seen * grads).flatten(1).sum(1)


def _information(logits: Tensor, jacobian: Tensor) -> Tensor:
    n_classes = logits.shape[1]
    p = logits.softmax(1) * (1 - SMOOTHING) + SMOOTHING / n_classes
    mean = torch.einsum("bc,bck->bk", p, jacobian)
    products = torch.einsum("bck,bc,bcl->kl", jacobian, p, jacobian)
    return (products - mean.t() @ mean) / len(logits)


PASS = Pass(
    "empirical_fisher",
    run_empirical_fisher,
    ("information",),
    "one forward in eval mode and a backward for each class, observed",
)
