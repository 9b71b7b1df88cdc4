"""The noise pair pass: how far features move when Gaussian inputs do, in a network of Gaussian weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lswag_fast.data.batch import Batch, call_model
from lswag_fast.errors import InputError, NothingObservedError
from lswag_fast.observe import WeightRecorder
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.registry import Pass
from lswag_fast.passes.shared.checks import model_errors, refuse_chunks
from lswag_fast.passes.shared.features import feature_tensors
from lswag_fast.passes.shared.preserve import ModelSnapshot, freeze, preserve_model_state
from lswag_fast.passes.shared.substitute import call_with
from lswag_fast.random_state import drawn_normal, seed_all

EPSILON = 0.01
"""How far x is moved, in units of the noise e."""


@dataclass(frozen=True)
class NoisePairMeasurements:
    """How far the features move, and the variances that keep their scale.

    Attributes:
        feature_distance: the mean over the samples of ||f(x) - f(x + 0.01 e)||_1, f the features of a sample.
        batch_norm_variances: by name, the mean of the running variance of each BatchNorm that ran before f; empty where
            the network has none.
    """

    feature_distance: float
    batch_norm_variances: dict[str, float]


def run_noise_pair(
    model: nn.Module, batch: Batch, options: ScoreOptions, statistics: frozenset[str]
) -> NoisePairMeasurements:
    """Run the features of x ~ N(0, 1) and x + 0.01 e, e ~ N(0, 1), without gradients, all modules in train mode.

    Every floating-point input that holds samples becomes noise of its shape; other inputs stay. In the network the
    weights of linear and convolution calls are N(0, 1) and their biases 0, BatchNorm and GroupNorm have weight 1 and
    bias 0, running statistics start from 0 and 1; everything else, LayerNorm too, is the model's own. A weight that the
    model computes from its parameters (weight norm, say) is N(0, 1) as the call receives it. These are substitutes:
    nothing is written into the model. Weights are drawn in the order of `named_parameters`, a computed one in the place
    of the first parameter that it is made from, then x, then e, in float32 from one generator seeded by `options.seed`.
    Dropout drops the same in both runs.

    `options.features` names f; of several tensors the last counts. One draw, as in NASLib; the command line of the
    authors averages 32: average over seeds outside for that.

    Raises:
        InputError: inputs without floating-point samples, features that cannot be had, a BatchNorm without running
            statistics, or a chunk size.
        NothingObservedError: the model has no weight of a linear or convolution call.
        UnsupportedModelError: the model fails on noise.
    """
    refuse_chunks(options, "noise_pair")
    with preserve_model_state(model, options.seed, watched=False) as snapshot, torch.no_grad():
        freeze(model)  # so that a parameter that an autograd function gives back is still seen to be one
        norms, recorder = _batch_norms(model), _recorded(model, snapshot, batch)
        model.train()
        generator = torch.Generator().manual_seed(options.seed)
        drawn = _gaussian_weights(model, recorder, generator)
        computed = {name: drawn.pop(name) for name in recorder.computed}
        tensors = {**_fresh_rest(model, recorder), **drawn}
        pair = _noise_pair(batch, generator)
        with model_errors("noise_pair", "on Gaussian weights and inputs"):
            first, second = (_features(model, snapshot, tensors, computed, inputs, options) for inputs in pair)
        distance = _distance(first, second, batch.n_samples)
    ran = [name for name in norms if int(tensors[f"{name}.num_batches_tracked"])]
    return NoisePairMeasurements(
        distance, {name: tensors[f"{name}.running_var"].double().mean().item() for name in ran}
    )


def _recorded(model: nn.Module, snapshot: ModelSnapshot, batch: Batch) -> WeightRecorder:
    """What linear and convolution calls take as weights, in a forward of one sample in eval mode."""
    sample = batch.take([0])
    recorder = WeightRecorder(dict(model.named_parameters()), model=model, constants=model.buffers())
    recorder.lineage.add_batch(sample.inputs)
    model.eval()
    with recorder, snapshot.watch():
        call_model(model, sample.inputs)
    if not recorder.weights:
        raise NothingObservedError("noise_pair pass: the model calls no linear or convolution function on a parameter")
    return recorder


def _gaussian_weights(model: nn.Module, recorder: WeightRecorder, generator: torch.Generator) -> dict[str, Tensor]:
    """N(0, 1) in the shape of each weight, by name."""
    parameters = dict(model.named_parameters())
    places = {name: place for place, name in enumerate(parameters)}

    def place(name: str) -> int:
        known = [places[source] for source in (name, *recorder.sources(name)) if source in places]
        return min(known, default=len(places))

    shapes = parameters | {name: tensors[0] for name, tensors in recorder.computed.items()}
    return {name: _normal(shapes[name], generator) for name in sorted(recorder.weights, key=place)}


def _fresh_rest(model: nn.Module, recorder: WeightRecorder) -> dict[str, Tensor]:
    """What stands in for the biases of these weights, for the norms and for the buffers."""
    parameters = dict(model.named_parameters())
    tensors = {name: buffer.clone() for name, buffer in model.named_buffers()}
    for name in (part for weight in recorder.weights for part in (weight, *recorder.sources(weight))):
        bias = name.partition("#")[0].removesuffix("weight") + "bias"
        if bias in parameters:
            tensors[bias] = torch.zeros_like(parameters[bias])
    for name, module in model.named_modules():
        if isinstance(module, (_BatchNorm, nn.GroupNorm)):
            fresh = {"weight": 1, "bias": 0, "running_mean": 0, "running_var": 1, "num_batches_tracked": 0}
            for key, value in fresh.items():
                own = getattr(module, key, None)
                if isinstance(own, Tensor):
                    tensors[f"{name}.{key}"] = torch.full_like(own, value)
    return tensors


def _batch_norms(model: nn.Module) -> list[str]:
    found = {name: module for name, module in model.named_modules() if isinstance(module, _BatchNorm)}
    for name, module in found.items():
        if module.running_var is None:
            raise InputError(
                f"the noise_pair pass reads running variances, and BatchNorm {name} keeps none "
                "(track_running_stats=False)"
            )
    return list(found)


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """N(0, 1) in the shape of a tensor; in float32 first, so that every dtype gets the same numbers."""
    return drawn_normal(like.shape, generator).to(like)


def _noise_pair(batch: Batch, generator: torch.Generator) -> tuple[Any, Any]:
    needed = "the noise_pair pass puts noise in the place of the inputs"
    noise = batch.map_samples(lambda x: _normal(x, generator), needed)
    moved = noise.map_samples(lambda x: x + EPSILON * _normal(x, generator), needed)
    return noise.inputs, moved.inputs


def _features(
    model: nn.Module,
    snapshot: ModelSnapshot,
    tensors: dict[str, Tensor],
    computed: dict[str, Tensor],
    inputs: Any,
    options: ScoreOptions,
) -> Tensor:
    """The features with `tensors` in the place of the model's own, and `computed` in that of computed weights."""
    seed_all(options.seed)  # the same dropout for both inputs

    def features(module: nn.Module, given: Any) -> Tensor:
        return feature_tensors(
            module, given, options.features, "the noise_pair pass needs the features before pooling"
        )[-1]

    if not computed:
        with snapshot.watch():
            plain: Tensor = call_with(model, tensors, features, inputs)
        return plain
    parameters = {name: tensors.get(name, parameter) for name, parameter in model.named_parameters()}
    recorder = WeightRecorder(parameters, model=model, constants=tensors.values(), substitutes=computed)
    recorder.lineage.add_batch(inputs)
    with recorder, snapshot.watch():
        found: Tensor = call_with(model, tensors, features, inputs)
    return found


def _distance(first: Tensor, second: Tensor, n_samples: int) -> float:
    if first.dim() == 0 or first.shape[0] != n_samples or first.shape != second.shape:
        raise InputError(
            f"the noise_pair pass needs features with the batch's {n_samples} samples along axis 0, got shape "
            f"{tuple(first.shape)}"
        )
    return (first.double() - second.double()).abs().sum().item() / n_samples


PASS = Pass(
    "noise_pair",
    run_noise_pair,
    ("feature_distance", "batch_norm_variances"),
    "two forwards of noise in train mode, with Gaussian weights",
)
