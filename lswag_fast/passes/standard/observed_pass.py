"""An observed pass: one forward and one backward of the summed loss, every event reduced as it happens."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from lswag_fast.data.batch import Batch
from lswag_fast.observe import CaptureOptions, Skipped, observe
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.shared.checks import backward_errors
from lswag_fast.passes.shared.precision import in_precision
from lswag_fast.passes.shared.preserve import ModelSnapshot, preserve_model_state
from lswag_fast.passes.shared.reducer import Reducer
from lswag_fast.passes.shared.stopwatch import timed
from lswag_fast.passes.standard.coupling import followed_loss, mixing_calls, warn_of_coupling, warn_of_scalar_loss
from lswag_fast.passes.standard.coverage import Coverage
from lswag_fast.passes.standard.gradient_reducer import XI, GradientReducer
from lswag_fast.passes.standard.parts import GRADIENT_STATISTICS, parts
from lswag_fast.passes.standard.patterns import Patterns, samples_to_pack
from lswag_fast.passes.standard.progress import Progress


@dataclass
class ObservedPass:
    """What a pass leaves behind beside the reducer's weights: patterns, and what was and was not observed."""

    patterns: Patterns
    skipped: tuple[Skipped, ...]
    coverage: Coverage
    n_nonfinite_losses: int


def standard_pass(
    model: nn.Module, batch: Batch, options: ScoreOptions, statistics: frozenset[str]
) -> tuple[GradientReducer, ObservedPass]:
    """Run the pass on a checked model and batch.

    The statistics are "gradients", "batch_gradient", "fisher", "patterns" and "activation_codes". With
    `options.chunk_size` the batch goes through in chunks and the statistics continue from one to the next;
    "activation_codes" do not. With `options.gradient_samples` the statistics of gradients are those of the first
    samples, as if they were the batch.
    Without a statistic of gradients there is no loss and no backward.
    """
    options = options.for_batch(batch.n_samples, batch.n_batches)
    n_samples = options.n_gradient_samples(batch.n_samples)
    # Published with the mean loss of each batch, whose gradients are 1/B of those of the summed loss.
    xi = XI if batch.n_batches == 1 else XI * (batch.n_samples // batch.n_batches) ** 2
    reducer = GradientReducer(options, n_samples, statistics, xi)
    return reducer, observed_pass(model, batch, options, statistics, reducer)


def observed_pass(
    model: nn.Module, batch: Batch, options: ScoreOptions, statistics: frozenset[str], reducer: Reducer
) -> ObservedPass:
    """Run the pass and hand the weights to `reducer`, which makes of them what it likes; `options` fit the batch."""
    patterned = "patterns" in statistics
    to_pack = samples_to_pack(options.pattern_samples, batch.n_samples, options.chunk_size) if patterned else 0
    progress = Progress(to_pack)
    with preserve_model_state(model, options.seed, watched=False) as snapshot:
        for part, of_part in parts(batch, options, statistics, progress):
            first = 0
            for chunk in part.chunks(options.chunk_size):
                is_chunk = chunk.n_samples < part.n_samples
                run = _Run(model, batch, options, snapshot, reducer, progress, is_chunk)
                # Of a copy, so that what runs again sees the samples as they were before the model wrote into them.
                run.on(chunk.copied(), of_part, first)
                first += chunk.n_samples
    to_count = options.pattern_samples if patterned else None
    patterns = Patterns(progress.activations, to_count, batch.n_samples, progress.pairs)
    return ObservedPass(patterns, progress.skipped, progress.coverage, progress.n_nonfinite_losses)


@dataclass(frozen=True)
class _Run:
    """What stays the same from one run of the model to the next."""

    model: nn.Module
    batch: Batch
    options: ScoreOptions
    snapshot: ModelSnapshot
    reducer: Reducer
    progress: Progress
    is_chunk: bool

    def on(self, chunk: Batch, statistics: frozenset[str], first: int) -> None:
        """Run the model on some of the samples, for these statistics; `first` is the place of their first one."""
        progress, options = self.progress, self.options
        is_part = chunk.n_samples < self.batch.n_samples
        n_packed = progress.next_packed(chunk.n_samples) if "patterns" in statistics else 0
        capture = _capture(statistics, n_packed, is_part)
        with observe(
            self.model,
            chunk,
            capture,
            probed=self.batch,
            before_write=self.snapshot.protect_memory,
            independent_samples=self.is_chunk and self.batch.n_batches == 1,
        ) as observation:
            with in_precision(options, chunk.device), timed("forward"):
                outputs = observation.run()
                loss = followed_loss(observation, outputs, chunk, options) if capture.operands else None
            if is_part or progress.has_begun:
                progress.check_route(observation.route)
            unreached: tuple[Skipped, ...] = ()
            if loss is not None:
                chosen = self.reducer.choose(observation.weights, chunk.n_samples)
                with backward_errors(), timed("backward"):
                    unreached = observation.backward(loss.total, chosen, self.reducer)
                progress.n_nonfinite_losses += loss.checked(first)
            # After the backward: a run of the model in between might write into a buffer that it needs.
            with in_precision(options, chunk.device):
                mixing = mixing_calls(observation, outputs, loss, options)
                warn_of_scalar_loss(observation, outputs, loss, chunk, options)
        progress.add(observation, unreached, capture)
        warn_of_coupling(observation, mixing)


def _capture(statistics: frozenset[str], n_packed: int, is_part: bool) -> CaptureOptions:
    codes = "activation_codes" in statistics
    return CaptureOptions(
        n_packed,
        activations="patterns" in statistics or codes,
        operands=not GRADIENT_STATISTICS.isdisjoint(statistics),
        agreements=codes and not is_part,
        outputs="fisher" in statistics,
    )
