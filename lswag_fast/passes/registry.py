"""The ways to drive a model, by name, and the numbers that each leaves for the proxies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from lswag_fast.data.batch import Batch
from lswag_fast.passes.block_features import BlockFeatureMeasurements, block_feature_numbers
from lswag_fast.passes.double_backward import DoubleBackwardMeasurements, double_backward_numbers
from lswag_fast.passes.jacobian import JacobianMeasurements, jacobian_numbers
from lswag_fast.passes.model import ModelMeasurements, model_numbers
from lswag_fast.passes.noise_pair import NoisePairMeasurements, noise_pair_numbers
from lswag_fast.passes.ntk import NtkMeasurements, ntk_numbers
from lswag_fast.passes.options import PassOptions
from lswag_fast.passes.standard.measurements import StandardMeasurements, standard_numbers
from lswag_fast.passes.synflow import SynflowMeasurements, synflow_numbers

T = TypeVar("T")


@dataclass(frozen=True)
class Recipe:
    """A way to drive a model: `run(model, batch, options, statistics)` gives the numbers; which statistics there are.

    `run` borrows the model and gives it back as it was, and raises an `LswagError` for a model that it cannot drive.
    """

    run: Callable[[nn.Module, Batch, PassOptions, frozenset[str]], object]
    statistics: frozenset[str]
    summary: str


RECIPES: dict[str, Recipe] = {
    "none": Recipe(
        model_numbers,
        frozenset(("params", "norms", "macs")),
        "no pass, or one forward of a single sample",
    ),
    "standard": Recipe(
        standard_numbers,
        frozenset(("gradients", "batch_gradient", "fisher", "patterns", "activation_codes")),
        "one forward and one backward of the summed loss, observed; without gradients the forward only",
    ),
    "synflow": Recipe(
        synflow_numbers,
        frozenset(("saliencies", "nuclear")),
        "one forward of ones and one backward in float64, with the weights' absolute values and no BatchNorm",
    ),
    "jacobian": Recipe(
        jacobian_numbers,
        frozenset(("jacobian", "classes")),
        "one forward and one backward of the sum of all logits, down to the inputs",
    ),
    "ntk": Recipe(
        ntk_numbers,
        frozenset(("kernels",)),
        "one forward and one backward of the sum of all logits, observed; products of the samples' gradients",
    ),
    "double_backward": Recipe(
        double_backward_numbers,
        frozenset(("weight_hessian_gradient",)),
        "one forward and two backwards, the second through the first",
    ),
    "noise_pair": Recipe(
        noise_pair_numbers,
        frozenset(("feature_distance", "batch_norm_variances")),
        "two forwards of noise in train mode, with Gaussian weights",
    ),
    "block_features": Recipe(
        block_feature_numbers,
        frozenset(("entropies", "spectral_norms")),
        "one forward of noise, and a backward from each feature to the one before",
    ),
}
"""Every pass recipe by name."""


class Measurements:
    """What the passes left, by recipe: all that a proxy may read."""

    def __init__(self, found: Mapping[str, object]) -> None:
        self._found = dict(found)

    def _of(self, recipe: str, kind: type[T]) -> T:
        found = self._found.get(recipe)
        if not isinstance(found, kind):
            raise TypeError(f"the {recipe} pass has not run: name it among the proxy's needs")
        return found

    @property
    def model(self) -> ModelMeasurements:
        """The numbers of the pass "none"."""
        return self._of("none", ModelMeasurements)

    @property
    def standard(self) -> StandardMeasurements:
        """The numbers of the standard pass."""
        return self._of("standard", StandardMeasurements)

    @property
    def synflow(self) -> SynflowMeasurements:
        """The numbers of the synflow pass."""
        return self._of("synflow", SynflowMeasurements)

    @property
    def jacobian(self) -> JacobianMeasurements:
        """The numbers of the Jacobian pass."""
        return self._of("jacobian", JacobianMeasurements)

    @property
    def ntk(self) -> NtkMeasurements:
        """The numbers of the NTK pass."""
        return self._of("ntk", NtkMeasurements)

    @property
    def double_backward(self) -> DoubleBackwardMeasurements:
        """The numbers of the double backward pass."""
        return self._of("double_backward", DoubleBackwardMeasurements)

    @property
    def noise_pair(self) -> NoisePairMeasurements:
        """The numbers of the noise pair pass."""
        return self._of("noise_pair", NoisePairMeasurements)

    @property
    def block_features(self) -> BlockFeatureMeasurements:
        """The numbers of the block features pass."""
        return self._of("block_features", BlockFeatureMeasurements)
