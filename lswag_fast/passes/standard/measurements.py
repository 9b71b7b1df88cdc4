"""The measurements of the standard pass: all of it that a proxy sees."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor, nn

from lswag_fast.data.batch import Batch
from lswag_fast.errors import (
    NoActivationsError,
    NonFiniteGradientError,
    NothingObservedError,
    ZeroVarianceError,
    warn,
)
from lswag_fast.kernels import GradientStats
from lswag_fast.observe import Skipped
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.shared.checks import RESCUE, listed
from lswag_fast.passes.shared.memory import halving_chunks
from lswag_fast.passes.shared.reducer import percentile
from lswag_fast.passes.standard.coverage import Coverage
from lswag_fast.passes.standard.gradient_reducer import GradientReducer, PieceStatistics
from lswag_fast.passes.standard.observed_pass import ObservedPass, standard_pass
from lswag_fast.passes.standard.parts import GRADIENT_STATISTICS
from lswag_fast.passes.standard.patterns import Patterns


@dataclass(frozen=True)
class LayerMeasurements:
    """One observed weight, in order of execution; `layer["sum_inv_sigma"]` is a statistic of its gradients.

    Gradients are those of the summed loss, over the samples or the micro-batches. `GradientStats` says which statistics
    there are; those of the batch gradient are measured with the statistic "batch_gradient" of the pass. The pieces of
    one parameter are combined. With `row_fraction`, sums are scaled up from the rows looked at; a largest value and
    `n_zero_variance`, `n_nonfinite` and `n_finite_variance` are those of the rows looked at.

    Attributes:
        name: qualified name of the parameter.
        kind: "linear", "conv2d", ...
        depth: l/L for the l-th of the pass's L observable weights.
        percentile: its bin (L-SWAG, Eq. 6).
        n_weights: elements of the weight.
        activation: position of the activation that it is paired with; None without any.
        stats: the statistics of its gradients.
        fisher: the sum over samples b and output channels k of (sum over positions of output x its gradient)^2, times
            the elements of a channel's weight; 0 without the statistic "fisher".
    """

    name: str
    kind: str
    depth: float
    percentile: int
    n_weights: int
    activation: int | None
    stats: GradientStats
    fisher: float = 0.0

    def __getitem__(self, statistic: str) -> float:
        """A statistic of the gradients by name; LookupError where it was not measured."""
        return self.stats[statistic]

    def __contains__(self, statistic: str) -> bool:
        """Whether a statistic was measured."""
        return statistic in self.stats

    @property
    def n_zero_variance(self) -> int:
        """Elements looked at whose gradient is the same in every sample, up to rounding errors and the floor."""
        return self.stats.n_zero_variance

    @property
    def n_nonfinite(self) -> int:
        """Elements looked at with a NaN or infinite gradient in some sample."""
        return self.stats.n_nonfinite

    @property
    def n_finite_variance(self) -> int:
        """Elements looked at that make the sums over 1/sigma."""
        return self.stats.n_finite_variance


@dataclass(frozen=True)
class ActivationMeasurements:
    """One activation call, in order of execution.

    Attributes:
        name: function@place.
        n_neurons: V, the neurons of its output.
        agreements: (B, B) int64, on how many of the V neurons two samples agree (statistic "activation_codes"); None
            without it, or when the batch went through in chunks.
    """

    name: str
    n_neurons: int
    agreements: Tensor | None


@dataclass(frozen=True)
class StandardMeasurements:
    """What a standard pass over a batch left.

    Attributes:
        all_layers: the observed weights, in order of execution; `layers()` refuses what a proxy cannot use.
        all_activations: the activation calls, in order of execution; `activations()` refuses a network without any.
        patterns: counts distinct patterns (statistic "patterns").
        skipped: what was not observed, and why.
        n_samples: B.
        n_gradient_samples: G, the samples whose gradients were taken.
        n_nonfinite_losses: losses that are NaN or infinite.
        n_observable: the weights that could be observed, in the layers asked for or not.
        coverage: how much of the network was observed.
        min_coverage: the least share of it that `layers()` accepts; None for any.

    Example:
        >>> import torch, lswag_fast
        >>> def deepest(measurements):
        ...     return measurements.of(StandardMeasurements).layers()[-1]["sum_inv_sigma"]
        >>> info = lswag_fast.register_proxy("deepest", deepest, needs={"standard": {"gradients"}})
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
        >>> lswag_fast.score(model, (torch.randn(8, 8), torch.arange(8) % 3), proxy="deepest").value > 0
        True
    """

    all_layers: tuple[LayerMeasurements, ...]
    all_activations: tuple[ActivationMeasurements, ...]
    patterns: Patterns
    skipped: tuple[Skipped, ...]
    n_samples: int
    n_gradient_samples: int
    n_nonfinite_losses: int
    n_observable: int
    coverage: Coverage
    min_coverage: float | None = None

    def layers(self) -> tuple[LayerMeasurements, ...]:
        """Return the observed weights.

        Raises:
            NonFiniteGradientError: a loss or a gradient is NaN or infinite.
            NothingObservedError: there is none.
            LowCoverageError: they are less of the network than `min_coverage`.
        """
        self.coverage.check(self.min_coverage)
        message = self.nonfinite()
        if message:
            raise NonFiniteGradientError(message)
        if not self.all_layers:
            reasons = "; ".join(f"{skip.name}: {skip.reason}" for skip in self.skipped)
            if self.n_observable and not reasons:
                reasons = f"None of the {self.n_observable} observable weights lies in the percentile bins asked for."
            raise NothingObservedError(
                f"no weight could be observed. {reasons or 'The model calls no linear or conv.'}"
            )
        return self.all_layers

    def varying_layers(self) -> tuple[LayerMeasurements, ...]:
        """Return the observed weights some of whose gradients vary; warns of the others.

        Raises:
            NonFiniteGradientError, NothingObservedError: as `layers`.
            ZeroVarianceError: nothing varies.
        """
        return self._varying

    @cached_property
    def _varying(self) -> tuple[LayerMeasurements, ...]:
        """See `varying_layers`; kept, so that one warning serves all proxies."""
        varying = tuple(layer for layer in self.layers() if layer.n_finite_variance)
        constant = [layer.name for layer in self.all_layers if not layer.n_finite_variance]
        if not varying:
            raise ZeroVarianceError(
                f"no gradient of the {len(self.all_layers)} observed weight(s) varies over the samples; are the "
                f"samples identical, is the network constant, or does no label count? {RESCUE}"
            )
        if constant:
            warn(
                f"no gradient varies over the samples in {len(constant)} of {len(self.all_layers)} layers "
                f"({listed(constant)}), which are left out of the score. {RESCUE}"
            )
        return varying

    def activations(self) -> tuple[ActivationMeasurements, ...]:
        """Return the activations.

        Raises:
            NoActivationsError: there is none.
        """
        if self.all_activations:
            return self.all_activations
        unplaced = [f"{skip.name}: {skip.reason}" for skip in self.skipped if skip.is_activation]
        if unplaced:
            raise NoActivationsError(
                f"{len(unplaced)} activation(s) were seen, but the samples could be placed in the output of none, so "
                f"there are no patterns to count ({unplaced[0]}; Score.skipped has all)"
            )
        raise NoActivationsError(
            "no activation function was seen (relu, gelu, silu, ... called through torch, or written out as a product "
            "with a gate), so there are no patterns to count; make one of your own known with "
            "lswag_fast.register_activation"
        )

    def nonfinite(self) -> str:
        """Describe NaN and infinite losses and gradients; empty when there are none."""
        found = []
        if self.n_nonfinite_losses:
            found.append(f"the loss is NaN or infinite for {self.n_nonfinite_losses} value(s)")
        broken = [layer for layer in self.all_layers if layer.n_nonfinite]
        if broken:
            first = broken[0]
            found.append(
                f"{len(broken)} weight(s) have NaN or infinite gradients, first {first.name} "
                f"({first.n_nonfinite} of {first.n_weights} elements)"
            )
        return "; ".join(found)


def run_standard(
    model: nn.Module, batch: Batch, options: ScoreOptions, statistics: frozenset[str]
) -> StandardMeasurements:
    """Run the standard pass for these statistics; with less memory than it needs, in smaller chunks."""

    n_gradient_samples = options.n_gradient_samples(batch.n_samples)

    def run(fitting: ScoreOptions) -> tuple[GradientReducer, ObservedPass]:
        return standard_pass(model, batch, fitting, statistics)

    reducer, done = halving_chunks(run, options, n_gradient_samples)
    if not GRADIENT_STATISTICS.isdisjoint(statistics) and options.min_coverage is None:
        done.coverage.warn()
    activations = done.patterns.activations
    return StandardMeasurements(
        _layers(reducer, done.patterns),
        tuple(ActivationMeasurements(a.name, a.n_neurons, a.agreements) for a in activations),
        done.patterns,
        done.skipped,
        batch.n_samples,
        n_gradient_samples,
        done.n_nonfinite_losses,
        len(reducer.names),
        done.coverage,
        options.min_coverage,
    )


def _layers(reducer: GradientReducer, patterns: Patterns) -> tuple[LayerMeasurements, ...]:
    """The measurements of every observed weight of the chosen layers; the pieces of one parameter are combined."""
    names = reducer.names
    rows = []
    for position, name in enumerate(names, 1):
        pieces = list(reducer.pieces.get(name, {}).values())
        if not pieces:
            continue
        activation = patterns.feeding(min(p.index for p in pieces))
        kind = reducer.kinds[name]
        rows.append(_layer(name, kind, position / len(names), percentile(position, len(names)), activation, pieces))
    return tuple(rows)


def _layer(
    name: str, kind: str, depth: float, bin_: int, activation: int | None, pieces: list[PieceStatistics]
) -> LayerMeasurements:
    found = [(piece.scale, piece.stats) for piece in pieces]
    return LayerMeasurements(
        name=name,
        kind=kind,
        depth=depth,
        percentile=bin_,
        n_weights=sum([piece.n_weights for piece in pieces]),
        activation=activation,
        stats=GradientStats.combined([(scale, stats) for scale, stats in found if stats is not None]),
        fisher=sum([piece.fisher for piece in pieces]),
    )
