"""Observed forward passes without the rest of a score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lswag_fast.data.batch import Batch, call_model
from lswag_fast.observe import CaptureOptions, Observation, observe
from lswag_fast.observe.mode import ObservingMode
from lswag_fast.observe.weights import WeightTable
from lswag_fast.passes.shared.preserve import freeze, preserve_model_state


def observed(model: nn.Module, inputs: Any, n_samples: int) -> tuple[Observation, Any]:
    """What an observed forward pass finds, and the model's outputs."""
    batch = Batch(inputs, None, n_samples)
    with preserve_model_state(model, 0, watched=False) as snapshot:  # noqa: SIM117 - the model is restored after the observation
        with observe(model, batch, CaptureOptions(1), before_write=snapshot.protect_memory) as observation:
            outputs = observation.run()
    return observation, outputs


def under_mode(
    model: nn.Module, inputs: Any, n_samples: int, n_packed: int = 1, known: bool = True
) -> tuple[ObservingMode, Any]:
    """Run the model forward under the observing mode alone; returns the mode, unreleased, and the outputs.

    With `known` the mode is told that the inputs have their samples along axis 0, as `observe` tells it.
    """
    with preserve_model_state(model, 0, watched=False) as snapshot:
        mode = mode_for(model, n_samples, CaptureOptions(n_packed), snapshot.protect_memory)
        freeze(model)
        if known:
            mode.flow.mark_batch(inputs)
        with mode:
            outputs = call_model(model, inputs)
    return mode, outputs


def mode_for(
    model: nn.Module,
    n_samples: int,
    capture: CaptureOptions,
    before_write: Callable[[Tensor], None] = lambda tensor: None,
    independent_samples: bool = False,
) -> ObservingMode:
    """The observing mode of a model whose parameters are as they are now."""
    return ObservingMode(
        model, WeightTable(model), n_samples, capture, before_write, independent_samples=independent_samples
    )


def _multiplies_groups_of_rows() -> bool:
    """Whether this torch does so on the CPU: before 2.8 it does not at all, then on CUDA alone."""
    rows, matrices = torch.zeros(16, 16, dtype=torch.bfloat16), torch.zeros(1, 16, 16, dtype=torch.bfloat16)
    try:
        torch._grouped_mm(rows, matrices, offs=torch.tensor([16], dtype=torch.int32))
    except (AttributeError, NotImplementedError):
        return False
    return True


needs_grouped_products = pytest.mark.skipif(
    not _multiplies_groups_of_rows(), reason="this torch has no torch._grouped_mm for the CPU"
)
