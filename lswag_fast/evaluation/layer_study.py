"""Which layers a score should look at: the spread of gradients by depth over random networks of a space.

The paper reads the interval off a plot by eye (Section 3.1, supplement D.1), once per benchmark. Here a rule does it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from lswag_fast.errors import InputError
from lswag_fast.option_checks import PERCENTILE_BINS
from lswag_fast.options import ScoreOptions
from lswag_fast.plots import plot_layer_study
from lswag_fast.score_job import options_of_space
from lswag_fast.scoring import score
from lswag_fast.spaces import SearchSpace

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

SPIKE_STANDARD_DEVIATIONS = 1.0
"""k of the rule: a bin belongs to a spike when it lies above the mean over the bins by so many standard deviations."""

Interval = tuple[int, int]
"""(lo, hi), percentile bins of depth, both inclusive."""


@dataclass(frozen=True)
class LayerStudy:
    """Where in depth the gradients of random networks stand out.

    Attributes:
        space: name of the space.
        n_networks: how many random networks were looked at.
        bins: one row per percentile bin (Eq. 6) that holds a layer: mean and standard deviation of ln sigma over all
            layers of all networks in it, and their number n.
        interval: (lo, hi), the spike, or None where no bin stands out.

    Example:
        >>> bins = pd.DataFrame({"mean": [-3.0, -1.0], "standard_deviation": [0.1, 0.2], "n": [4, 4]}, index=[0, 10])
        >>> study = LayerStudy("my space", 4, bins, interval=None)
        >>> int(study.bins["mean"].idxmax())
        10
    """

    space: str
    n_networks: int
    bins: pd.DataFrame
    interval: Interval | None

    def plot(self) -> Figure:
        """Draw mean and standard deviation of ln sigma by depth, the spike marked; needs matplotlib."""
        return plot_layer_study(
            self.bins["mean"].to_dict(),
            self.bins["standard_deviation"].to_dict(),
            n_bins=PERCENTILE_BINS + 1,
            interval=self.interval,
            title=f"{self.space}, {self.n_networks} random networks",
        )


def study_layers(
    space: SearchSpace,
    batch: Any,
    *,
    n: int,
    build: Callable[[Any], nn.Module],
    seed: int = 0,
    options: ScoreOptions | None = None,
    callback: Callable[[int, int], None] | None = None,
) -> LayerStudy:
    """Measure ln sigma of every layer of `n` random networks and find the spike.

    ln sigma of a layer is that of the harmonic mean of its weights' sigma, ln(weights with variance) - Lambda_l: the
    same sum that the score takes, free of the layer's size. Layers in which nothing varies are left out.

    Args:
        space: the networks are drawn by its `sample`.
        batch: as `score` takes it.
        n: networks.
        build: builds an architecture, as `lswag_fast.spaces.building.network_builder` makes it.
        seed: of the architectures and the scores.
        options: of the scores; their seed is `seed`, whatever it says.
        callback: called as `callback(done, n)`.

    Returns:
        The curve by depth and the spike.

    Raises:
        InputError: `n` is below 1.
        LswagError: a network cannot be scored, as of `score`.

    Example:
        >>> from lswag_fast import data, spaces
        >>> from lswag_fast.spaces.building import network_builder
        >>> space = spaces.NasBench201(channels=4, cells_per_stage=1, image_size=8, num_classes=10)
        >>> batch = data.load("digits", batch_size=8, image_size=8).batch
        >>> build = network_builder(space, "fresh")
        >>> study = study_layers(space, batch, n=2, build=lambda arch: build(arch).eval())
        >>> study.n_networks, list(study.bins.columns)
        (2, ['mean', 'standard_deviation', 'n'])
    """
    if n < 1:
        raise InputError(f"n must be at least 1, got {n}")
    rng = random.Random(seed)
    options = options_of_space(space, options or ScoreOptions())
    rows = []
    for done in range(1, n + 1):
        model = build(space.sample(rng))
        found = score(
            model, batch, proxy="grad_norm", options=options, seed=seed
        )  # has the layers, and is content without variance
        for layer in found.layers:
            n_varying = layer.n_weights - layer.n_zero_variance
            if n_varying > 0 and math.isfinite(layer.trainability):
                rows.append((layer.percentile, math.log(n_varying) - layer.trainability))
        if callback is not None:
            callback(done, n)
    values = pd.DataFrame(rows, columns=["bin", "log_sigma"]).groupby("bin")["log_sigma"]
    bins = pd.DataFrame({"mean": values.mean(), "standard_deviation": values.std(ddof=0), "n": values.count()})
    return LayerStudy(space.name, n, bins, spike(dict(zip(bins.index.tolist(), bins["mean"].tolist(), strict=True))))


def spike(means: dict[int, float], k: float = SPIKE_STANDARD_DEVIATIONS) -> Interval | None:
    """Return the widest run of neighbouring bins whose mean lies above mean + k standard deviations of all bins' means.

    Of runs of one width it is the one with the highest mean, then the first. Bins without a layer do not break a run.

    Args:
        means: {percentile bin: mean of ln sigma}.
        k: see `SPIKE_STANDARD_DEVIATIONS`.

    Returns:
        The first and the last bin of the run; None where no bin lies above, as when all are equal.

    Example:
        >>> spike({0: -9.0, 2: -9.0, 3: -2.0, 4: -2.5, 7: -9.0, 10: -9.0})
        (3, 4)
    """
    if not means:
        return None
    centre = math.fsum(means.values()) / len(means)
    spread = math.sqrt(math.fsum((value - centre) ** 2 for value in means.values()) / len(means))
    runs = _runs(sorted(means), [bin_ for bin_ in means if means[bin_] > centre + k * spread])
    if not runs:
        return None
    best = max(runs, key=lambda run: (len(run), max(means[bin_] for bin_ in run), -run[0]))
    return best[0], best[-1]


def _runs(bins: Sequence[int], high: Sequence[int]) -> list[list[int]]:
    """The chosen bins in runs of neighbours among all bins."""
    runs: list[list[int]] = []
    previous_is_high = False
    for bin_ in bins:
        if bin_ in high:
            if previous_is_high:
                runs[-1].append(bin_)
            else:
                runs.append([bin_])
        previous_is_high = bin_ in high
    return runs
