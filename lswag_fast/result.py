"""What `score` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from lswag_fast.observe import Skipped

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class LayerScore:
    """What was found for one observed weight.

    name: qualified parameter name, e.g. "blocks.0.attn.qkv.weight". kind: "linear", "conv1d", "conv2d", or "derived"
    for a computed weight. depth: l/L, its place among the L observable weights in order of execution. percentile: the
    bin of Eq. 6, 0..10. n_weights: its elements. trainability: Lambda_l = ln sum 1/sigma (gradients of the summed
    loss, natural log; -inf without variance). cardinality: Psi_l, distinct patterns of the activation it is paired
    with, named by `activation` as function@place. n_zero_variance, n_nonfinite: elements left out of the sum, counted
    in the rows looked at.
    """

    name: str
    kind: str
    depth: float
    percentile: int
    n_weights: int
    trainability: float
    cardinality: int
    activation: str
    n_zero_variance: int
    n_nonfinite: int


@dataclass(frozen=True)
class Score:
    """A zero-cost score; higher is better for L-SWAG.

    Scores are comparable only at the same batch size, `n_pattern_samples`, data and options. `value` is NaN and
    `error` says why when a non-finite gradient was let through. `elapsed_ms` is the wall time of the whole call,
    `n_samples` the B of the batch, `isa` the instruction set of the kernels.
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

    def __float__(self) -> float:
        """The value."""
        return self.value

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain dicts, lists and numbers, ready for JSON."""
        return asdict(self)

    def plot(self) -> Figure:
        """Draw Lambda_l and Psi_l over the layers; needs matplotlib (`pip install lswag-fast[plot]`).

        Raises ImportError without matplotlib. The figure is not shown; save it with `figure.savefig(path)`.
        """
        from lswag_fast.layer_plot import plot_layers  # matplotlib is optional

        return plot_layers(self)
