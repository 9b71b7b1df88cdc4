"""The double backward pass: the Hessian of the mean loss times its gradient, by differentiating twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lswag_fast.data.batch import Batch, call_model
from lswag_fast.errors import NothingObservedError, UnsupportedModelError
from lswag_fast.observe import WeightRecorder
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.registry import Pass
from lswag_fast.passes.shared.checks import one_line, refuse_chunks
from lswag_fast.passes.shared.loss import total_loss
from lswag_fast.passes.shared.memory import is_out_of_memory
from lswag_fast.passes.shared.preserve import preserve_model_state

_LEAF = "torch::autograd::AccumulateGrad"  # autograd's node of a leaf


@dataclass(frozen=True)
class DoubleBackwardMeasurements:
    """Products of the Hessian and the gradient.

    Attributes:
        weight_hessian_gradient: for each trainable parameter that an observed call takes as its weight, in
            order of execution, the sum of W * (Hg), g and H the gradient and the Hessian of the mean loss in these
            weights.
    """

    weight_hessian_gradient: dict[str, float]


def run_double_backward(
    model: nn.Module, batch: Batch, options: ScoreOptions, statistics: frozenset[str]
) -> DoubleBackwardMeasurements:
    """Differentiate twice, in the model's own mode; g and Hg come from one forward, so dropout draws once for both.

    Attention runs with the math backend, since the fused ones have no second derivative. A weight that the model
    computes from its parameters (weight norm, say) is a variable as the call receives it. Frozen weights do not count.
    A list of batches goes through as one. A custom backward that computes outside of autograd (with NumPy) cannot be
    told from a constant.

    Raises:
        NothingObservedError: the model calls no function on a trainable weight.
        UnsupportedModelError: a function of the model has no second derivative.
        InputError: a chunk size.
    """
    refuse_chunks(options, "double_backward")
    with preserve_model_state(model, options.seed, watched=False) as snapshot, sdpa_kernel(SDPBackend.MATH):
        # Only now: before it, a pass of another thread may have the model and ask no gradients of it.
        parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        recorder = WeightRecorder(parameters, model=model, constants=(*model.parameters(), *model.buffers()))
        recorder.lineage.add_batch(batch.inputs)
        with recorder, snapshot.watch():
            outputs = call_model(model, batch.inputs)
        loss = total_loss(outputs, batch.targets, batch.n_samples, options)
        uses = {name: recorder.computed.get(name) or [parameters[name]] for name in recorder.weights}
        weights = {name: tensors for name, tensors in uses.items() if tensors[0].requires_grad}
        products = _hessian_gradient(loss.total / batch.n_samples, list(weights.values()), parameters.values())
        loss.checked()
    pairs = zip(weights.items(), products, strict=True)
    sums = {name: (w.detach().double() * p.double()).sum().item() for (name, (w, *_)), p in pairs}
    return DoubleBackwardMeasurements(sums)


def _hessian_gradient(loss: Tensor, weights: Sequence[Sequence[Tensor]], parameters: Iterable[Tensor]) -> list[Tensor]:
    """Hg for each weight, 0 where the gradient does not depend on it.

    A weight is the equal tensors that its calls received: one, but of a weight that the model computes several times.
    """
    if not weights:
        raise NothingObservedError(
            "double_backward pass: the model calls no linear or convolution function on a parameter that asks for a "
            "gradient"
        )
    if not loss.requires_grad:
        raise UnsupportedModelError("double_backward pass: the loss has no gradient in the model's weights")
    try:
        tensors = [tensor for weight in weights for tensor in weight]
        found = _joined(weights, torch.autograd.grad(loss, tensors, create_graph=True, allow_unused=True))
        product = sum(((g.detach() * g).sum() for g in found), start=loss.new_zeros(()))
        if not product.requires_grad:  # a loss linear in every weight
            return [torch.zeros_like(own) for own in found]
        # Autograd skips what leads to no tensor asked for: the stand-in leaf of a function that can be differentiated
        # once only, and with it the function's error.
        asked = [*tensors, *foreign_leaves(product, parameters)]
        products = torch.autograd.grad(product, asked, allow_unused=True)[: len(tensors)]
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise UnsupportedModelError(
            "the double_backward pass differentiates twice, which a function of the model does not allow: "
            f"{one_line(error)}"
        ) from error
    return _joined(weights, products)


def _joined(weights: Sequence[Sequence[Tensor]], gradients: Sequence[Tensor | None]) -> list[Tensor]:
    """The gradient of each weight, from those of all the tensors that it is, in order; None counts as 0."""
    each = iter(gradients)
    uses = [[next(each) for _ in weight] for weight in weights]
    known = ([g for g in own if g is not None] for own in uses)
    return [sum(own, start=torch.zeros_like(weight[0])) for weight, own in zip(weights, known, strict=True)]


def foreign_leaves(root: Tensor, own: Iterable[Tensor]) -> list[Tensor]:
    """The tensors other than one's own from which the graph of `root` starts."""
    known = {id(tensor) for tensor in own}
    found: dict[int, Tensor] = {}
    seen: set[Any] = set()
    todo: list[Any] = [root.grad_fn]
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node.name() == _LEAF and id(node.variable) not in known:
            found[id(node.variable)] = node.variable
        todo.extend(following for following, _ in node.next_functions)
    return list(found.values())


PASS = Pass(
    "double_backward",
    run_double_backward,
    ("weight_hessian_gradient",),
    "one forward and two backwards, the second through the first",
)
