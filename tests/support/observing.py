"""One observed forward pass without the rest of a score."""

from __future__ import annotations

from typing import Any

from torch import nn

from lswag_fast.data.batch import Batch, call_model
from lswag_fast.observe import CaptureOptions, Observation, ObservedWeight, ObservingMode, WeightCall, outcome
from lswag_fast.observe.weights import WeightTable
from lswag_fast.passes.shared.preserve import freeze, preserve_model_state


def observe(
    model: nn.Module, inputs: Any, n_samples: int, n_packed: int = 1, known: bool = False
) -> tuple[ObservingMode, Any]:
    """Run the model forward under the observing mode; returns the mode and the outputs.

    With `known` the mode is told that the inputs have their samples along axis 0, as a score does.
    """
    with preserve_model_state(model, 0) as snapshot:
        mode = _mode(model, n_samples, n_packed, snapshot.protect)
        freeze(model)
        if known:
            mode.flow.mark_batch(inputs, n_samples)
        with mode:
            outputs = call_model(model, inputs)
    return mode, outputs


def found(model: nn.Module, inputs: Any, n_samples: int) -> Observation:
    """What an observed forward pass finds, with every open place of the samples probed."""
    batch = Batch(inputs, None, n_samples)
    mode, _ = observe(model, inputs, n_samples)
    return outcome(mode, n_samples, lambda samples: call_model(model, batch.take(samples).inputs))


def _mode(model: nn.Module, n_samples: int, n_packed: int, protect: Any) -> ObservingMode:
    def ignore(weight: ObservedWeight, call: WeightCall) -> bool:
        return True

    table = WeightTable(model)
    return ObservingMode(model, table, n_samples, CaptureOptions(n_packed), ignore, protect, independent_samples=False)
