"""The empirical Fisher pass: the Fisher information of one scalar of each weight, or of each parameter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast.data.batch import Batch, call_model
from lswag_fast.errors import InputError, NothingObservedError
from lswag_fast.kernels import ConvGeometry
from lswag_fast.observe import CaptureOptions, Observation, ObservedWeight, observe
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.registry import Pass
from lswag_fast.passes.shared.checks import backward_errors, model_errors, refuse_chunks
from lswag_fast.passes.shared.outputs import chosen_output, find_logits, real
from lswag_fast.passes.shared.preserve import preserve_model_state
from lswag_fast.passes.shared.reducer import Reducer

MOST_WEIGHTS = 128
"""How many weights have a scalar in the matrix: the first ones, in order of execution; of parameters, of definition."""

SMOOTHING = 0.05
"""The share of the uniform distribution that is mixed into the probabilities of the classes."""

_LOGIT_DIMS = 2  # (B, C)


@dataclass(frozen=True)
class EmpiricalFisherMeasurements:
    """The Fisher information of some scalars.

    Attributes:
        n_parameters: the parameter tensors of the model, tied ones counted once.
        information: (K, K) float64, the mean over the samples of J^T (diag(p) - p p^T) J; J (C, K) holds the
            derivatives of the sample's logits in the first element of each of the first K <= 128 observed weights, p
            the softmax of the logits, with .05 of the uniform distribution mixed into it. None where not asked for.
        information_of_all: the same in the first element of each of the first K <= 128 parameters that ask for a
            gradient, biases and the scales of norms among them. None where not asked for.
    """

    n_parameters: int
    information: Tensor | None = None
    information_of_all: Tensor | None = None


def run_empirical_fisher(
    model: nn.Module, batch: Batch, options: ScoreOptions, statistics: frozenset[str]
) -> EmpiricalFisherMeasurements:
    """Differentiate each logit in eval mode, in which BatchNorm keeps the samples apart.

    For weights the forward runs once, and its graph is kept for the classes. Look-ups of rows are left out;
    `options.layers` chooses the weights. For all parameters each sample runs by itself, with a backward for each class.
    A list of batches goes through as one.

    Raises:
        InputError: outputs that are no logits (B, C) of at least two classes, a chunk size, or layers where all
            parameters are asked for.
        NothingObservedError: no weight could be observed, or no parameter asks for a gradient.
        UnsupportedModelError: the model fails on a single sample.
    """
    refuse_chunks(options, "empirical_fisher")
    found = EmpiricalFisherMeasurements(len(list(model.parameters())))
    if "information" in statistics:
        found = replace(found, information=_of_weights(model, batch, options))
    if "information_of_all" in statistics:
        found = replace(found, information_of_all=_of_all_parameters(model, batch, options))
    return found


def _of_weights(model: nn.Module, batch: Batch, options: ScoreOptions) -> Tensor:
    whole = replace(batch.copied(), n_batches=1)
    with preserve_model_state(model, options.seed, watched=False) as snapshot:
        model.eval()
        capture = CaptureOptions(0, activations=False)
        with observe(model, whole, capture, before_write=snapshot.protect_memory) as observation:
            logits = _checked(chosen_output(observation.run(), options.output), whole.n_samples)
            jacobian = _jacobian(observation, logits, options)
    return _information(logits.detach().double(), jacobian)


def _of_all_parameters(model: nn.Module, batch: Batch, options: ScoreOptions) -> Tensor:
    if options.layers is not None:
        raise InputError("the empirical_fisher pass takes scalars of all parameters, of which layers chooses none")
    samples = (batch.take([b]).copied() for b in range(batch.n_samples))
    with preserve_model_state(model, options.seed):
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad][:MOST_WEIGHTS]
        if not parameters:
            raise NothingObservedError("empirical_fisher pass: no parameter of the model asks for a gradient")
        model.eval()
        rows = [_alone(model, sample, parameters, options) for sample in samples]
    logits, jacobian = (torch.cat(each) for each in zip(*rows, strict=True))
    return _information(logits, jacobian)


def _alone(
    model: nn.Module, sample: Batch, parameters: Sequence[Tensor], options: ScoreOptions
) -> tuple[Tensor, Tensor]:
    """The logits (1, C) of one sample and their derivatives (1, C, K) in the scalars, float64."""
    with model_errors("empirical_fisher", "on a single sample"):
        outputs = call_model(model, sample.inputs)
    logits = _checked(chosen_output(outputs, options.output), 1)
    with backward_errors():
        rows = [torch.stack(list(_first_elements(logit, parameters))) for logit in logits[0].unbind()]
    return logits.detach().double(), torch.stack(rows)[None]


def _first_elements(logit: Tensor, parameters: Sequence[Tensor]) -> Iterator[Tensor]:
    """The derivatives of a logit in the first element of each parameter, float64; 0 where it does not depend on it."""
    gradients: Sequence[Tensor | None] = [None] * len(parameters)
    if logit.requires_grad:
        gradients = torch.autograd.grad(logit, parameters, retain_graph=True, allow_unused=True)
    for gradient in gradients:
        yield logit.new_zeros((), dtype=torch.float64) if gradient is None else gradient.reshape(-1)[0].double()


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
        raise NothingObservedError(f"empirical_fisher pass: no weight could be observed{reasons and f'. {reasons}'}")
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
    ("information", "information_of_all"),
    "one forward in eval mode and a backward for each class, observed; or both of each sample by itself",
)
