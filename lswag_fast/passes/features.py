"""The features pass: one forward, each feature reduced to a few numbers as soon as it is there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lswag_fast.data.batch import Batch, call_model
from lswag_fast.observe.features import Feature, FeatureRecorder, Kind
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.registry import Pass
from lswag_fast.passes.shared.checks import refuse_chunks
from lswag_fast.passes.shared.preserve import freeze, preserve_model_state


@dataclass(frozen=True)
class FeatureMeasurements:
    """Numbers of the features of a forward pass, in order of execution.

    Attributes:
        values: by statistic, one number for each feature that it is measured on: empty where the network has none, and
            without an entry where it was not asked for.

            "log_dimensions", of activations: ln((Tr C)^2 / Tr C^2), C the covariance of the channels over all samples
            and positions; the logarithm of the number of directions that the channels spread over. 0 where nothing
            varies.
    """

    values: Mapping[str, tuple[float, ...]]

    def __getitem__(self, statistic: str) -> tuple[float, ...]:
        """The numbers of a statistic."""
        return self.values[statistic]


def run_features(
    model: nn.Module, batch: Batch, options: ScoreOptions, statistics: frozenset[str]
) -> FeatureMeasurements:
    """Run the model on the batch, in its own mode and without gradients.

    Features are the outputs of calls on weights, norms and activations, functional or of a module. Each is reduced in
    float64 while the model runs, and none is kept. Those that make a weight, and those of look-ups, do not count.

    Raises:
        InputError: a chunk size.
    """
    refuse_chunks(options, "features")
    wanted = {name: reduction for name, reduction in _REDUCTIONS.items() if name in statistics}
    found: dict[str, list[float]] = {name: [] for name in wanted}

    def receive(feature: Feature) -> None:
        for name, reduction in wanted.items():
            if feature.kind in reduction.kinds:
                found[name].append(reduction.reduce(feature.values.detach()))

    with preserve_model_state(model, options.seed, watched=False) as snapshot, torch.no_grad():
        freeze(model)  # so that a parameter that an autograd function gives back is still seen to be one
        recorder = FeatureRecorder(model, batch.n_samples, receive)
        recorder.lineage.add_batch(batch.inputs)
        with recorder, snapshot.watch():
            call_model(model, batch.copied().inputs)
    return FeatureMeasurements({name: tuple(values) for name, values in found.items()})


@dataclass(frozen=True)
class _Reduction:
    """From the values (..., C) of each feature of some kinds to a number."""

    kinds: frozenset[Kind]
    reduce: Callable[[Tensor], float]


def _log_dimension(values: Tensor) -> float:
    products = _centred_products(values)
    trace, squares = float(products.trace()), float(products.square().sum())
    return 2 * math.log(trace) - math.log(squares) if squares > 0 else 0.0


def _centred_products(values: Tensor) -> Tensor:
    """The covariance of the channels of (..., C) over all rows, but for its divisor: (C, C) float64.

    Where there are more channels than rows, the products of the rows (N, N), whose nonzero eigenvalues are the same.
    """
    rows = values.flatten(0, -2).double()
    rows = rows - rows.mean(0)
    return rows.t() @ rows if len(rows) > rows.shape[1] else rows @ rows.t()


_REDUCTIONS = {
    "log_dimensions": _Reduction(frozenset({"activation"}), _log_dimension),
}

PASS = Pass(
    "features",
    run_features,
    tuple(_REDUCTIONS),
    "one forward without gradients, each feature reduced as it is made",
)
