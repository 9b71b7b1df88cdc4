"""What `score` returns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from lswag_fast.observe import Skipped
from lswag_fast.plots import plot_profile

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class LayerScore:
    """What was found for one observed weight.

    name: qualified parameter name, e.g. "blocks.0.attn.qkv.weight". kind: "linear", "conv1d", "conv2d", or "derived"
    for a computed weight. depth: l/L, its place among the L observable weights in order of execution. percentile: the
    bin of Eq. 6, 0..10. n_weights: its elements. trainability: Lambda_l = ln sum 1/sigma (gradients of the summed
    loss, natural log; -inf without variance). cardinality: Psi_l, distinct patterns of the activation it is paired
    with, named by `activation` as function@place; None where no patterns were counted. n_zero_variance, n_nonfinite:
    elements left out of the sum, counted in the rows looked at.
    """

    name: str
    kind: str
    depth: float
    percentile: int
    n_weights: int
    trainability: float
    cardinality: int | None
    activation: str | None
    n_zero_variance: int
    n_nonfinite: int


@dataclass(frozen=True)
class Score:
    """The zero-cost score of one proxy; `higher_is_better` says which way it points.

    Scores are comparable only at the same batch size, `n_pattern_samples`, data and options. `value` is `raw`, or its
    sign(s) ln|s| for proxies whose values explode. `error` says why a value is NaN or infinite: it is not to be ranked.
    `layers` and `skipped` are those of the observed pass, where the proxy uses it. `elapsed_ms` is the wall time of the
    whole call, shared by all its proxies; `n_samples` the B of the batch, `isa` the instruction set of the kernels.
    """

    value: float
    proxy: str
    layers: tuple[LayerScore, ...]
    skipped: tuple[Skipped, ...]
    n_samples: int
    n_pattern_samples: int
    elapsed_ms: float
    device: str
    isa: str
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    raw: float = math.nan
    higher_is_better: bool = True

    def __float__(self) -> float:
        """The value."""
        return self.value

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain dicts, lists and numbers, ready for JSON."""
        return asdict(self)

    def plot(self) -> Figure:
        """Draw Lambda_l and Psi_l over the layers; needs matplotlib (`pip install lswag-fast[plot]`).

        The figure is not shown; save it with `figure.savefig(path)`.

        Raises:
            InputError: the score has no layers, as those of proxies that do not observe single layers.
            MissingExtraError: matplotlib is not installed.
        """
        title = f"{self.proxy} = {self.value:.6g}   (B = {self.n_samples}, S = {self.n_pattern_samples})"
        return plot_profile([asdict(layer) for layer in self.layers], title)


class Scores(dict[str, Score]):
    """{proxy: Score}, what `score_many` returns; `passes` names the passes that were run for it, in order."""

    def __init__(self, passes: tuple[str, ...]) -> None:
        super().__init__()
        self.passes = passes
