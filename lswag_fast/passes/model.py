"""The pass without a loss: what a model's parameters say by themselves, and what one forward computes."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lswag_fast.data.batch import Batch, call_model
from lswag_fast.errors import NothingObservedError
from lswag_fast.observe import MacCounter, WeightRecorder
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.registry import Pass
from lswag_fast.passes.shared.preserve import freeze, preserve_model_state


@dataclass(frozen=True)
class ModelMeasurements:
    """What the model says by itself, and one sample's forward in eval mode.

    Attributes:
        n_params: elements of all parameters, tied ones counted once (statistic "params").
        weight_norms: by name, ||W||_2 of each weight of an observed call, of one that the model computes
            (weight norm, say) as the call receives it (statistic "norms", else empty).
        weight_sizes: by name, the elements of each of these weights, in the order of their first calls (statistic
            "sizes", else empty).
        macs: multiply-accumulates of the forward, without those that compute a weight (statistic "macs", else 0).
    """

    n_params: int
    weight_norms: dict[str, float]
    weight_sizes: dict[str, int]
    macs: int


def run_model(model: nn.Module, batch: Batch, options: ScoreOptions, statistics: frozenset[str]) -> ModelMeasurements:
    """Count and measure; the model runs for all but "params".

    Raises:
        NothingObservedError: "norms" or "sizes" finds no weight.
    """
    n_params = sum(p.numel() for p in model.parameters())
    if statistics.isdisjoint(("norms", "sizes", "macs")):
        return ModelMeasurements(n_params, {}, {}, 0)
    parameters = dict(model.named_parameters())
    counter = MacCounter() if "macs" in statistics else None
    sample = batch.take([0])
    recorder = WeightRecorder(parameters, model=model, constants=model.buffers(), lone_sample=True, counter=counter)
    recorder.lineage.add_batch(sample.inputs)
    with preserve_model_state(model, options.seed, watched=False) as snapshot, torch.no_grad():
        freeze(model.eval())  # so that a parameter that an autograd function gives back is still seen to be one
        with counter or nullcontext(), recorder, snapshot.watch():
            call_model(model, sample.inputs)
    if not statistics.isdisjoint(("norms", "sizes")) and not recorder.weights:
        raise NothingObservedError("the model calls no linear or convolution function on a parameter")
    weights = parameters | {name: tensors[0] for name, tensors in recorder.computed.items()}
    norms = {name: _norm(weights[name].detach()) for name in recorder.weights if "norms" in statistics}
    sizes = {name: weights[name].numel() for name in recorder.weights}
    macs = 0 if counter is None else counter.macs - recorder.macs_of_weights
    return ModelMeasurements(n_params, norms, sizes, macs)


def _norm(weight: Tensor) -> float:
    magnitudes = weight.abs() if weight.is_complex() else weight
    return float(torch.linalg.vector_norm(magnitudes.double()))


PASS = Pass(
    "model",
    run_model,
    ("params", "norms", "sizes", "macs"),
    "no pass, or one forward of a single sample",
)
