"""Choosing the weights whose gradients a pass wants, and reducing them one after the other during backward."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from lswag_fast.observe import ObservedWeight, WeightCall
from lswag_fast.option_checks import PERCENTILE_BINS
from lswag_fast.options import ScoreOptions


def percentile(position: int, n_layers: int) -> int:
    """Bin of layer l = 1..L (Eq. 6, with l/D read for the printed 1/D): 0..10, bin 10 holding only the last layer."""
    return int(position * 100 / n_layers // (100 / PERCENTILE_BINS))


class Reducer(ABC):
    """Makes of each weight's gradients what a pass wants of them; see `lswag_fast.observe.Observation.backward`.

    `names` are the observable weights in order of execution and `kinds` what they are, both known after `choose`.
    """

    def __init__(self, options: ScoreOptions, n_samples: int) -> None:
        self.names: tuple[str, ...] = ()
        self.kinds: dict[str, str] = {}
        self._options = options
        self._n_samples = n_samples

    @abstractmethod
    def reduce_weight(self, weight: ObservedWeight) -> None:
        """Reduce a weight; its calls hold their operands until this returns."""

    def reduce_call(self, weight: ObservedWeight, call: WeightCall) -> None:  # noqa: B027 - most passes need no call
        """Take what is needed of one call while its output can still be had."""

    def choose(self, weights: Sequence[ObservedWeight], n_samples: int) -> list[ObservedWeight]:
        """Those of the observable weights that lie in the layers asked for.

        `n_samples` is the number of samples of this forward pass (a chunk, or the whole batch).
        """
        self._n_samples = n_samples
        self.names = tuple(dict.fromkeys(weight.name for weight in weights))
        self.kinds = {weight.name: weight.kind for weight in weights}
        n_layers = len(self.names)
        inside = {name for place, name in enumerate(self.names, 1) if self._selected(percentile(place, n_layers))}
        return [weight for weight in weights if weight.name in inside]

    def _selected(self, bin_: int) -> bool:
        interval = self._options.layers
        return interval is None or interval[0] <= bin_ <= interval[1]
