"""The synflow pass: the output of an all-positive network on ones, differentiated in its weights, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lswag_fast.data.batch import Batch, call_model
from lswag_fast.errors import InputError, NonFiniteGradientError, NothingObservedError, ZeroSaliencyError
from lswag_fast.observe import WeightRecorder
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.registry import Pass
from lswag_fast.passes.shared.checks import RESCUE, listed, model_errors
from lswag_fast.passes.shared.outputs import chosen_output, find_logits, real
from lswag_fast.passes.shared.preserve import ModelSnapshot, preserve_model_state
from lswag_fast.passes.shared.substitute import call_with

_ATTENTION_NAMES = ("qkv", "in_proj")


@dataclass(frozen=True)
class LayerSaliency:
    """One weight of an observed call, with R the sum of the outputs and s_w = |w dR/dw|.

    Attributes:
        saliency: sum s_w.
        log_saliency: sum |w| ln(|dR/dw| + 1).
        standard_deviation: the sample standard deviation of s_w, NaN for a single element.
        is_linear: whether the call is a linear one.
        is_attention: whether it is a linear one whose name says query-key-value ("qkv", "in_proj"), or that has as many
            inputs as outputs.
        nuclear: ||dR/dW||_* ||W||_* of attention weights (statistic "nuclear", else None).
        activation: the position, among the activation calls of the pass, of the one that feeds the weight's first call;
            0 where there is none.
        is_zero: whether every element of the weight is zero.
    """

    saliency: float
    log_saliency: float
    standard_deviation: float
    is_linear: bool
    is_attention: bool
    nuclear: float | None
    activation: int
    is_zero: bool = False


@dataclass(frozen=True)
class SynflowMeasurements:
    """The saliencies of an all-positive network.

    Attributes:
        layers: the weights by name, in order of execution; `live_layers` refuses a network without any saliency.
        n_activations: how many activation calls the pass made.
    """

    layers: dict[str, LayerSaliency]
    n_activations: int

    def live_layers(self) -> tuple[LayerSaliency, ...]:
        """Return the weights.

        Raises:
            NonFiniteGradientError: a saliency is NaN or infinite: without BatchNorm the positive network of a deep
                model exceeds float64.
            ZeroSaliencyError: the saliency of every weight is zero; names the weights that are zero themselves.
        """
        broken = [name for name, layer in self.layers.items() if not math.isfinite(layer.saliency)]
        if broken:
            raise NonFiniteGradientError(
                f"the synflow saliencies of {len(broken)} weight(s) are NaN or infinite, first {broken[0]}: with "
                "positive weights and no BatchNorm the numbers of this network exceed float64"
            )
        layers = tuple(self.layers.values())
        if any(layer.saliency for layer in layers):
            return layers
        zero = [name for name, layer in self.layers.items() if layer.is_zero]
        cause = f"{listed(zero)}: all elements are zero" if zero else "a scale or an activation gives zero everywhere"
        raise ZeroSaliencyError(f"the synflow saliency of all {len(layers)} weights is zero; {cause}. {RESCUE}")


def run_synflow(
    model: nn.Module, batch: Batch, options: ScoreOptions, statistics: frozenset[str]
) -> SynflowMeasurements:
    """Run |model| on one sample of ones and differentiate the sum of its outputs.

    Every parameter and buffer is replaced by its absolute value in float64, and so is every weight that the model
    computes from its parameters (weight norm, say), as the call receives it; nothing is written into the model, and the
    data play no part but for the shape of the inputs. BatchNorm returns its input; other norms stay, in a vision
    transformer LayerNorm, so that saliencies are not conserved from layer to layer there. In eval mode: dropout has no
    place in it. Frozen weights do not count.

    Raises:
        InputError: inputs without floating-point samples, or outputs without a tensor of logits.
        NothingObservedError: no trainable weight.
        UnsupportedModelError: the model fails in float64.
    """
    needed = "the synflow pass puts ones in the place of the inputs"
    ones = batch.take([0]).map_samples(lambda x: torch.ones_like(x, dtype=torch.float64), needed)
    with (
        preserve_model_state(model, options.seed, watched=False) as snapshot,
        model_errors("synflow", "in float64 with positive weights"),
    ):
        model.eval()
        run = _run(model, snapshot, ones, _tensors(model, _positive))
        if run.recorder.computed:  # from positive parameters, which is not what positive effective weights are
            computed = _positive_computed(model, snapshot, ones)
            run = _run(model, snapshot, ones, _tensors(model, _positive), computed)
        weights = {name: weight for name in run.recorder.weights if (weight := run.weights.get(name)) is not None}
        gradients = _gradients(chosen_output(run.outputs, options.output), list(weights.values()))
    recorder, activations = run.recorder, run.recorder.activations(run.outputs)
    places = {name: activations.index(fed) for name, fed in recorder.pairs(activations).items()} if activations else {}
    layers = {
        name: _saliency(name, weight.detach(), gradient, recorder, "nuclear" in statistics, places.get(name, 0))
        for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
    }
    return SynflowMeasurements(layers, len(activations))


class _Run(NamedTuple):
    """One forward: what was recorded, the trainable weights by name, and the outputs."""

    recorder: WeightRecorder
    weights: dict[str, Tensor]
    outputs: Any


def _run(
    model: nn.Module,
    snapshot: ModelSnapshot,
    ones: Batch,
    tensors: dict[str, Tensor],
    computed: Mapping[str, Tensor] | None = None,
) -> _Run:
    """Run the model on ones with `tensors` in the place of its own, and `computed` in that of computed weights."""
    trainable = {name: tensors[name].requires_grad_() for name, p in model.named_parameters() if p.requires_grad}
    recorder = WeightRecorder(
        trainable, model=model, constants=tensors.values(), substitutes=computed, skip_batch_norm=True
    )
    recorder.lineage.add_batch(ones.inputs)
    with recorder, snapshot.watch():
        outputs = call_with(model, tensors, call_model, ones.inputs)
    return _Run(recorder, trainable | dict(computed or {}), outputs)


def _positive_computed(model: nn.Module, snapshot: ModelSnapshot, ones: Batch) -> dict[str, Tensor]:
    """|W| of each weight that the model computes from its own parameters, to be differentiated in."""
    recorder = _run(model, snapshot, ones, _tensors(model, _exact)).recorder
    return {name: tensors[0].detach().abs().requires_grad_() for name, tensors in recorder.computed.items()}


def _tensors(model: nn.Module, replace: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """What stands in for the parameters and buffers of the model."""
    return {name: replace(tensor) for name, tensor in (*model.named_parameters(), *model.named_buffers())}


def _exact(tensor: Tensor) -> Tensor:
    """The tensor, in float64 if it is a floating-point one."""
    tensor = tensor.detach()
    return tensor.double() if tensor.is_floating_point() else tensor.clone()


def _positive(tensor: Tensor) -> Tensor:
    """|tensor|, in float64 if it is a floating-point one."""
    tensor = tensor.detach()
    if tensor.is_floating_point():
        return tensor.double().abs()
    return tensor.clone() if tensor.dtype == torch.bool else tensor.abs()


def _gradients(outputs: Any, weights: list[Tensor]) -> list[Tensor]:
    """dR/dW for each weight; 0 where R does not depend on it."""
    logits = find_logits(outputs)
    if logits is None:
        raise InputError(
            f"the synflow pass needs an output tensor; the model returned {type(outputs).__name__} without one"
        )
    if not weights or not logits.requires_grad:
        raise NothingObservedError("synflow pass: the output depends on no trainable weight of a linear or conv call")
    found = torch.autograd.grad(real(logits).sum(), weights, allow_unused=True)
    return [torch.zeros_like(w) if g is None else g for w, g in zip(weights, found, strict=True)]


def _saliency(
    name: str, weight: Tensor, gradient: Tensor, recorder: WeightRecorder, nuclear: bool, activation: int
) -> LayerSaliency:
    s = (weight * gradient).abs()
    is_linear = recorder.kinds[name] == "linear"
    is_attention = is_linear and _is_attention(name, weight)
    return LayerSaliency(
        saliency=s.sum().item(),
        log_saliency=(weight * gradient.abs().log1p()).sum().item(),
        standard_deviation=s.std().item() if s.numel() > 1 else math.nan,  # one element has none
        is_linear=is_linear,
        is_attention=is_attention,
        nuclear=_nuclear_norm(gradient) * _nuclear_norm(weight) if nuclear and is_attention else None,
        activation=activation,
        is_zero=not weight.any(),
    )


def _is_attention(name: str, weight: Tensor) -> bool:
    named = any(part in name for part in _ATTENTION_NAMES)
    return named or weight.shape[0] == weight.shape[1]


def _nuclear_norm(matrix: Tensor) -> float:
    """||M||_*; NaN for a matrix that is not finite, on which the singular values do not converge."""
    return float(torch.linalg.matrix_norm(matrix, "nuc")) if bool(torch.isfinite(matrix).all()) else math.nan


PASS = Pass(
    "synflow",
    run_synflow,
    ("saliencies", "nuclear"),
    "one forward of ones and one backward in float64, with the weights' absolute values and no BatchNorm",
)
