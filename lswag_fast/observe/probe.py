"""Telling the sample axis by experiment, where the sizes of a tensor leave it open.

The model runs again on two samples, in eval mode and without gradients. An axis that holds samples changes its
length in proportion. Where an axis holds k rows per sample, a second run with sample 0 replaced shows their order.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lswag_fast.data.batch import Batch, call_model
from lswag_fast.errors import LswagWarning
from lswag_fast.observe.calls import ActivationCall, WeightCall
from lswag_fast.observe.dispatch import CallMode
from lswag_fast.observe.operations import BoundCall, ObservedOperation
from lswag_fast.observe.sample_axis import AxisCandidates, SampleAxis, fits_rows, fits_shape

Run = Callable[[Sequence[int]], None]
"""Runs the model forward on the given samples of the batch, in eval mode and without gradients."""


class ProbeMode(CallMode):
    """Records the shape of each weight or activation call's tensor, and the tensors of the calls in `keep`."""

    def __init__(self, n_samples: int, keep: frozenset[int] = frozenset()) -> None:
        super().__init__(n_samples)
        self.shapes: list[torch.Size] = []
        self.kept: dict[int, Tensor] = {}
        self._keep = keep

    def on_weight_call(
        self,
        index: int,
        operation: ObservedOperation,
        call: BoundCall,
        candidates: AxisCandidates,
        run: Callable[[], Tensor],
    ) -> Tensor:
        """Record the input of a call on a weight."""
        self._record(index, call.x)
        return run()

    def on_activation(self, index: int, func: Callable[..., Any], out: Tensor) -> None:
        """Record an activation's output."""
        self._record(index, out)

    def _record(self, index: int, tensor: Tensor) -> None:
        self.shapes.append(tensor.shape)
        if index in self._keep:
            self.kept[index] = tensor.detach().clone()


def run_in_eval_mode(model: nn.Module, batch: Batch, samples: Sequence[int]) -> None:
    """Run the model in eval mode, without gradients, on some samples, and give every module its mode back."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad():
            call_model(model, batch.take(samples).inputs)
    finally:
        for module, training in modes:
            module.training = training


def probe_samples(n_samples: int, n_available: int) -> tuple[list[int], list[int]]:
    """Sample indices of the two probe runs; they differ in row 0 only, and their number is not `n_samples`.

    `n_available` (at least 2) is the number of samples that may be drawn from.
    """
    if n_samples == 2:  # two samples are probed with three rows
        return [0, 1, 0], [1, 1, 0]
    return [0, 1], [min(2, n_available - 1), 1]


def resolve_sample_axes(
    calls: Sequence[WeightCall | ActivationCall], n_calls: int, n_samples: int, n_available: int, run: Run
) -> None:
    """Set `sample_axis` of every open call that the probe can tell; the others keep None.

    The observed pass ran on `n_samples` samples and made `n_calls` calls: a probe that makes another number took
    another path through the model and tells nothing.
    """
    open_calls = [call for call in calls if call.sample_axis is None and call.candidates.options]
    if not open_calls:
        return
    first, second = probe_samples(n_samples, n_available)
    keep = frozenset(call.index for call in open_calls)
    before = _probe(run, first, keep)
    if before is None or before.n_calls != n_calls:
        return
    fitting = {id(call): _fitting(call, before.shapes[call.index], len(first)) for call in open_calls}
    doubtful = [call for call in open_calls if fitting[id(call)] and not _is_proof(fitting[id(call)])]
    if doubtful:
        after = _probe(run, second, keep)
        for call in doubtful:
            fitting[id(call)] = _changing(fitting[id(call)], before, after, call.index)
    for call in open_calls:
        sample_axes = fitting[id(call)]
        call.sample_axis = sample_axes[0] if len(sample_axes) == 1 else None


def _probe(run: Run, samples: Sequence[int], keep: frozenset[int]) -> ProbeMode | None:
    """One probe run; None, with a warning, when the model does not run on these samples."""
    mode = ProbeMode(len(samples), keep)
    try:
        with mode:
            run(samples)
    except Exception as error:  # whatever a user's forward raises on a batch of another size
        warnings.warn(
            f"the model does not run on a batch of {len(samples)} samples ({type(error).__name__}: {error}), so where "
            "the samples lie in some of its tensors stays open; see Score.skipped",
            LswagWarning,
            stacklevel=2,
        )
        return None
    return mode


def _changing(
    sample_axes: Sequence[SampleAxis], before: ProbeMode, after: ProbeMode | None, index: int
) -> list[SampleAxis]:
    if after is None or before.shapes != after.shapes:
        return []
    pair = before.kept[index], after.kept[index]
    return [sample_axis for sample_axis in sample_axes if fits_rows(sample_axis, *pair, before.n_samples)]


def _fitting(call: WeightCall | ActivationCall, shape: torch.Size, n_probe: int) -> list[SampleAxis]:
    return [
        sample_axis for sample_axis in call.candidates.options if fits_shape(sample_axis, call.shape, shape, n_probe)
    ]


def _is_proof(sample_axes: Sequence[SampleAxis]) -> bool:
    """One candidate with one row per sample: its shape alone is proof."""
    return len(sample_axes) == 1 and sample_axes[0].outer == sample_axes[0].inner == 1
