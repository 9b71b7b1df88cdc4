"""An observed pass: one forward and one backward of the summed loss, every event reduced as it happens."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from lswag_fast.data.batch import Batch, call_model
from lswag_fast.errors import (
    LswagWarning,
    UnsupportedModelError,
)
from lswag_fast.observe import ActivationCall, CaptureOptions, Observation, ObservingMode, Skipped, outcome
from lswag_fast.observe.weights import WeightTable
from lswag_fast.passes.options import PassOptions
from lswag_fast.passes.shared.loss import total_loss
from lswag_fast.passes.shared.preserve import ModelSnapshot, freeze, preserve_model_state
from lswag_fast.passes.shared.reducer import Reducer
from lswag_fast.passes.standard.gradient_reducer import GradientReducer
from lswag_fast.passes.standard.patterns import Activation, Patterns, samples_to_pack


@dataclass
class ObservedPass:
    """What a pass leaves behind beside the gatherer's weights: patterns per activation, and what was skipped."""

    patterns: Patterns
    skipped: tuple[Skipped, ...]
    n_nonfinite_losses: int


@dataclass
class _Progress:
    """What accumulates over the chunks of a batch."""

    statistics: frozenset[str]
    to_pack: int
    activations: list[Activation] = field(default_factory=list)
    skipped: dict[str, Skipped] = field(default_factory=dict)
    n_nonfinite_losses: int = 0

    def add(self, calls: Sequence[ActivationCall]) -> None:
        """Take the packed signs of a chunk."""
        known = {activation.index: activation for activation in self.activations}
        for call in calls:
            if call.index in known:
                known[call.index].append(call)
            else:
                self.activations.append(Activation.of(call))


GRADIENT_STATISTICS = frozenset(("gradients", "totals", "fisher"))
"""The statistics that need a backward pass."""


def standard_pass(
    model: nn.Module, batch: Batch, options: PassOptions, statistics: frozenset[str]
) -> tuple[GradientReducer, ObservedPass]:
    """Run the pass on a checked model and batch.

    The statistics are "gradients", "totals", "fisher", "patterns" and "activation_codes". With `options.chunk_size` the
    batch goes through in chunks and the statistics continue from one to the next; "activation_codes" do not.
    Without a statistic of gradients there is no loss and no backward.
    """
    options = options.for_batch(batch.n_samples, batch.n_batches)
    collector = GradientReducer(options, batch.n_samples, statistics)
    return collector, observed_pass(model, batch, options, statistics, collector)


def observed_pass(
    model: nn.Module, batch: Batch, options: PassOptions, statistics: frozenset[str], gatherer: Reducer
) -> ObservedPass:
    """Run the pass and hand the weights to `gatherer`, which makes of them what it likes; `options` fit the batch."""
    patterned = "patterns" in statistics
    to_pack = samples_to_pack(options.pattern_samples, batch.n_samples, options.chunk_size) if patterned else 0
    progress = _Progress(statistics, to_pack)
    with preserve_model_state(model, options.seed) as snapshot:
        table = WeightTable(model)
        freeze(model)
        for chunk in batch.chunks(options.chunk_size):
            _run_chunk(model, batch, chunk, options, table, snapshot, gatherer, progress)
    patterns = Patterns(progress.activations, options.pattern_samples if patterned else None, batch.n_samples)
    return ObservedPass(patterns, tuple(progress.skipped.values()), progress.n_nonfinite_losses)


def _run_chunk(
    model: nn.Module,
    batch: Batch,
    chunk: Batch,
    options: PassOptions,
    table: WeightTable,
    snapshot: ModelSnapshot,
    gatherer: Reducer,
    progress: _Progress,
) -> None:
    n_packed = min(progress.to_pack, chunk.n_samples)
    is_part = chunk.n_samples < batch.n_samples
    with_backward = not GRADIENT_STATISTICS.isdisjoint(progress.statistics)
    mode = ObservingMode(
        model,
        table,
        chunk.n_samples,
        CaptureOptions(
            n_packed,
            activations=n_packed > 0 or "activation_codes" in progress.statistics,
            operands=with_backward,
            agreements="activation_codes" in progress.statistics and not is_part,
            outputs="fisher" in progress.statistics,
        ),
        gatherer.receive,
        snapshot.protect,
        independent_samples=is_part and batch.n_batches == 1,
    )
    mode.flow.mark_batch(chunk.inputs, chunk.n_samples)
    try:
        with mode, torch.set_grad_enabled(with_backward):
            outputs = call_model(model, chunk.inputs)
        found = outcome(mode, batch.n_samples, lambda samples: _probe(model, batch, samples))
        if with_backward:
            how = (options.loss_fn, options.loss_reduction)
            loss = total_loss(outputs, chunk.targets, chunk.n_samples, *how)
            _backward(loss.total, gatherer.plan(found, chunk.n_samples))
            progress.n_nonfinite_losses += loss.checked()
        progress.to_pack -= n_packed
        progress.add(found.activations)
        progress.skipped |= {skip.name: skip for skip in (*found.skipped, *gatherer.finish())}
        _warn_coupling(mode, found)
    finally:
        mode.release()


def _backward(total: torch.Tensor, anchors: Sequence[torch.Tensor]) -> None:
    if not anchors or not total.requires_grad:
        return
    try:
        torch.autograd.grad(total, anchors, allow_unused=True)
    except RuntimeError as error:
        if "checkpoint" in str(error).lower():  # torch gives it no class of its own
            raise UnsupportedModelError(
                "the model uses reentrant activation checkpointing, which recomputes outside of the observer; "
                "score the model without checkpointing"
            ) from error
        raise


def _probe(model: nn.Module, batch: Batch, samples: Sequence[int]) -> None:
    """Run the model in eval mode, without gradients, on some samples, and give every module its mode back."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad():
            call_model(model, batch.take(samples).inputs)
    finally:
        for module, training in modes:
            module.training = training


def _warn_coupling(mode: ObservingMode, found: Observation) -> None:
    if mode.couples_samples and found.weights:
        warnings.warn(
            "a BatchNorm in train mode makes the samples depend on each other: a sample's gradient is its share of the "
            "batch gradient; model.eval() avoids it",
            LswagWarning,
            stacklevel=2,
        )
