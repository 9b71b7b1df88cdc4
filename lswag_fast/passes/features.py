"""The features pass: one forward, each feature reduced to a few numbers as soon as it is there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from lswag_fast.data.batch import Batch, call_model
from lswag_fast.errors import InputError, NonFiniteGradientError, UnsupportedModelError
from lswag_fast.observe.features import Feature, FeatureRecorder, Kind
from lswag_fast.observe.samples.axis import Place, candidates_by_size
from lswag_fast.observe.samples.rows import SampleRows
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.registry import Pass
from lswag_fast.passes.shared.checks import refuse_chunks
from lswag_fast.passes.shared.features import smaller_products
from lswag_fast.passes.shared.preserve import freeze, preserve_model_state

SAMPLED_CHANNELS = 8
"""How many channels "sampled_correlations" looks at."""

MANY_VALUES = 512
"""Of so many singular values "effective_ranks" takes the eigenvalues of products instead, which are less exact, if
their mean is at least `LEAST_MEAN` of the largest."""

LEAST_MEAN = 0.015
"""With an error of 1.5e-8 of the largest in each, the entropy is then off by about 1e-6 at most."""

EXPLAINED = 0.99
"""The share of the variance that "principal_components" explain."""


@dataclass(frozen=True)
class FeatureMeasurements:
    """Numbers of the features of a forward pass, in order of execution.

    Attributes:
        values: by statistic, one number for each feature that it is measured on: empty where the network has none, and
            without an entry where it was not asked for.

            "log_dimensions", of activations: ln((Tr C)^2 / Tr C^2), C the covariance of the channels over all samples
            and positions; the logarithm of the number of directions that the channels spread over. 0 where nothing
            varies.
            "least_correlations", of weights, norms and activations: the least eigenvalue of the matrix of correlations
            between the channels of the first sample, over its positions; 0 where a channel is constant, or where there
            are not more positions than channels.
            "sampled_correlations", of the same: that of 8 channels drawn at random, times C / 8.
            "singular_ratios", of the same: the least over the largest singular value of the matrix of the channels of
            the first sample at its positions; 0 of zeros.
            "head_confidences", of attention: the mean over heads, samples and queries of the largest probability.
            "principal_components", of the outputs of linear calls that an activation takes: the least number of
            principal components that explain more than .99 of the variance; 0 where nothing varies.
            "effective_ranks", of weights and activations: exp of the entropy of the singular values, over their sum, of
            the matrix of C rows, drawn from all samples and positions (all rows, if there are fewer); 0 of zeros.
    """

    values: Mapping[str, tuple[float, ...]]

    def __getitem__(self, statistic: str) -> tuple[float, ...]:
        """The numbers of a statistic."""
        return self.values[statistic]


def run_features(
    model: nn.Module, batch: Batch, options: ScoreOptions, statistics: frozenset[str]
) -> FeatureMeasurements:
    """Run the model on the batch, in its own mode and without gradients.

    Features are the outputs of calls on weights, norms and activations, functional or of a module, and the
    probabilities of attention (softmax, `scaled_dot_product_attention`, torch's own attention). Each is reduced in
    float64 while the model runs, and none is kept. Those that make a weight, and those of look-ups, do not count. The
    samples are followed from call to call, so that the part of the first is found wherever it lies, in sequences that
    lead with time, say. Channels are drawn from one generator seeded by `options.seed`, and the rows of each feature
    from one that begins so. Activations count as for L-SWAG: not the gate of a product that is one, nor what reaches no
    weight and no output.

    Raises:
        InputError: a chunk size, or, for a statistic of the first sample, a feature in which its part is not found.
        NonFiniteGradientError: a feature holds NaN or infinite values, or no query of attention has a key.
        UnsupportedModelError: a feature is complex.
    """
    refuse_chunks(options, "features")
    wanted = {name: reduction for name, reduction in _REDUCTIONS.items() if name in statistics}
    generator = torch.Generator().manual_seed(options.seed)
    found: dict[str, list[tuple[int | None, float]]] = {name: [] for name in wanted}

    def receive(feature: Feature) -> None:
        _check(feature)
        for name, reduction in wanted.items():
            if feature.kind in reduction.kinds:
                values = _Values(feature.values, feature.place, batch.n_samples, options.seed, generator)
                found[name].append((feature.activation, reduction.reduce(values)))

    kinds = frozenset[Kind]().union(*(reduction.kinds for reduction in wanted.values()))
    with preserve_model_state(model, options.seed, watched=False) as snapshot, torch.no_grad():
        freeze(model)  # so that a parameter that an autograd function gives back is still seen to be one
        copied = batch.copied()  # which the model may write into
        with FeatureRecorder(model, copied, kinds, receive) as recorder, snapshot.watch():
            outputs = call_model(model, copied.inputs)
        recorder.finish(outputs)
    counted = {
        name: tuple(number for activation, number in numbers if activation is None or recorder.counts(activation))
        for name, numbers in found.items()
    }
    return FeatureMeasurements(counted)


def _check(feature: Feature) -> None:
    """Refuse what no statistic can be had from; a query of attention that has no key is NaN, and is left out."""
    values = feature.values
    what = f"features pass: the output of shape {tuple(values.shape)} of a call ({feature.kind})"
    if values.is_complex():
        raise UnsupportedModelError(f"{what} is complex; score the model by another proxy")
    usable = values.isfinite()
    if not bool(usable.any() if feature.kind == "attention" and usable.numel() else usable.all()):
        raise NonFiniteGradientError(f"{what} has NaN or infinite values ({int((~usable).sum())} of {usable.numel()})")


@dataclass(frozen=True)
class _Values:
    """The values of a feature, (..., C), and where the samples lie in them."""

    values: Tensor
    place: Place | None
    n_samples: int
    seed: int
    channel_generator: torch.Generator

    @property
    def rows(self) -> Tensor:
        """Those of all samples and positions, (N, C) float64."""
        return self.values.flatten(0, -2).double()

    @property
    def of_first_sample(self) -> Tensor:
        """Those of all positions of the first sample, (P, C) float64."""
        place = self.place or self._by_size()
        if isinstance(place, SampleRows):
            own = self.values[place.samples == 0]
        else:
            own = place.sample_first(self.values, self.n_samples)[0]
        return own.reshape(-1, self.values.shape[-1]).double()

    def _by_size(self) -> Place:
        """Where the samples must lie, for nothing else fits."""
        axes = range(self.values.dim() - 1)
        options = candidates_by_size(self.values.shape, self.n_samples, axes).options
        is_constant = bool((self.values == self.values.flatten()[:1]).all())  # then all parts are alike
        if len(options) != 1 and not (options and is_constant):
            raise InputError(
                f"features pass: in a feature of shape {tuple(self.values.shape)} the axis of the samples was not "
                "found, so the first sample's part cannot be told"
            )
        return options[0]


@dataclass(frozen=True)
class _Reduction:
    """From the values of each feature of some kinds to a number."""

    kinds: frozenset[Kind]
    reduce: Callable[[_Values], float]


def _log_dimension(feature: _Values) -> float:
    products = smaller_products(_centred(feature.rows))
    trace, squares = float(products.trace()), float(products.square().sum())
    return 2 * math.log(trace) - math.log(squares) if squares > 0 else 0.0


def _least_correlation(feature: _Values) -> float:
    return _least_eigenvalue(feature.of_first_sample)


def _sampled_correlation(feature: _Values) -> float:
    rows = feature.of_first_sample
    n_channels = rows.shape[1]
    chosen = torch.randperm(n_channels, generator=feature.channel_generator, device="cpu")[:SAMPLED_CHANNELS]
    return _least_eigenvalue(rows[:, chosen.to(rows.device)]) * n_channels / len(chosen)


def _least_eigenvalue(rows: Tensor) -> float:
    """Of the correlations of the columns of (P, C)."""
    if len(rows) <= rows.shape[1]:  # the rank is below the number of columns
        return 0.0
    centred = _centred(rows)
    lengths = torch.linalg.vector_norm(centred, dim=0)
    if bool((lengths == 0).any()):  # a row and a column of zeros
        return 0.0
    unit = centred / lengths
    return float(torch.linalg.eigvalsh(unit.t() @ unit)[0].clamp(min=0))


def _singular_ratio(feature: _Values) -> float:
    rows = feature.of_first_sample
    if rows.numel() == 0:
        return 0.0
    values = torch.linalg.svdvals(rows)
    return float(values[-1] / values[0]) if values[0] > 0 else 0.0


def _head_confidence(feature: _Values) -> float:
    return float(feature.values.amax(-1).double().nanmean())


def _principal_components(feature: _Values) -> float:
    variances = torch.linalg.eigvalsh(smaller_products(_centred(feature.rows))).clamp(min=0).flip(0)
    total = variances.sum()
    return float(((variances.cumsum(0) / total) <= EXPLAINED).sum() + 1) if total > 0 else 0.0


def _effective_rank(feature: _Values) -> float:
    rows = feature.values.flatten(0, -2)
    n_rows, n_columns = rows.shape
    if n_rows > n_columns:  # rows at even distances could all be of one pixel
        generator = torch.Generator().manual_seed(feature.seed)  # of its own, so that no other feature matters
        drawn = torch.randperm(n_rows, generator=generator, device="cpu")[:n_columns]
        rows = rows[drawn.to(rows.device)]
    values = _singular_values(rows)
    total = values.sum()
    return float(torch.special.entr(values / total).sum().exp()) if total > 0 else 0.0


def _singular_values(rows: Tensor) -> Tensor:
    """Of (N, C), in float64.

    The eigenvalues of the products have them in a quarter of the time where there are 2,500 columns, but each only to
    about 1e-8 of the largest, the root of float64's precision. That is little if they are of like size, so that their
    sum is far above the largest.
    """
    rows = rows.double()
    if min(rows.shape) >= MANY_VALUES:
        values: Tensor = torch.linalg.eigvalsh(smaller_products(rows)).clamp(min=0).sqrt()
        if values.mean() >= LEAST_MEAN * values.max():
            return values
    return cast(Tensor, torch.linalg.svdvals(rows))


def _centred(rows: Tensor) -> Tensor:
    """Less the mean of each column; of a constant column exactly zeros, as it is first taken from its first value."""
    shifted = rows - rows[:1]
    return shifted - shifted.mean(0)


_LAYERS: frozenset[Kind] = frozenset(("weight", "norm", "activation"))
_REDUCTIONS = {
    "log_dimensions": _Reduction(frozenset({"activation"}), _log_dimension),
    "least_correlations": _Reduction(_LAYERS, _least_correlation),
    "sampled_correlations": _Reduction(_LAYERS, _sampled_correlation),
    "singular_ratios": _Reduction(_LAYERS, _singular_ratio),
    "head_confidences": _Reduction(frozenset({"attention"}), _head_confidence),
    "principal_components": _Reduction(frozenset({"hidden"}), _principal_components),
    "effective_ranks": _Reduction(frozenset({"weight", "activation"}), _effective_rank),
}

PASS = Pass(
    "features",
    run_features,
    tuple(_REDUCTIONS),
    "one forward without gradients, each feature reduced as it is made",
)
