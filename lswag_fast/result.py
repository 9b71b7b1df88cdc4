"""What `score` returns."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lswag_fast.data.repeats import name_of_repeat
from lswag_fast.observe import Skipped
from lswag_fast.plots import plot_profile

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class LayerScore:
    """What was found for one observed weight.

    Attributes:
        name: qualified parameter name, e.g. "blocks.0.attn.qkv.weight".
        kind: "linear", "conv1d", "conv2d", or "derived" for a computed weight.
        depth: l/L, its place among the L observable weights in order of execution.
        percentile: the bin of Eq. 6, 0..10.
        n_weights: its elements.
        trainability: Lambda_l = ln sum 1/sigma (gradients of the summed loss, natural log; -inf without variance).
        cardinality: Psi_l, distinct patterns of the activation it is paired with; None where no patterns were counted.
            An activation is one call: a mixture of experts has one for all experts, or one for each, as it is written
            (of transformers, `experts_implementation="grouped_mm"` and "eager"). The rows of a sample are the same, Psi
            is not, so compare only networks whose experts are called alike.
        activation: that activation as function@place; None where there is none.
        n_zero_variance: elements left out of the sum because their gradient does not vary over the samples, or by no
            more than its rounding error in the precision of the pass (`lswag_fast.reference.rounding_error`), or by
            less than a floor that is the same in all of them (`least_deviation`); counted in the rows looked at.
        n_nonfinite: elements left out because of a NaN or infinite gradient, counted in the rows looked at.

    Example:
        >>> import torch, lswag_fast
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
        >>> batch = torch.randn(8, 8), torch.arange(8) % 3
        >>> layer = lswag_fast.score(model, batch).layers[1]
        >>> layer.name, layer.kind, layer.depth, layer.n_weights
        ('2.weight', 'linear', 1.0, 48)
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


@dataclass(frozen=True, repr=False)
class Score:
    """The zero-cost score of one proxy.

    Scores are comparable only at the same batch size, `n_pattern_samples`, data and options. Printed, a score is one
    line; the table of its layers is `layers` (a row each), `plot()` draws it, and `to_dict()` has everything.

    Attributes:
        value: `raw`, or its logarithm for proxies whose values explode.
        proxy: the name of the proxy.
        layers: one entry per observed weight, where the proxy uses an observed pass; else empty.
        skipped: what that pass did not observe, and why.
        n_samples: B of the batch.
        n_pattern_samples: S, the samples of a pattern; 0 where no patterns were counted.
        elapsed_ms: wall time of the whole call, shared by all its proxies.
        device: the device of the model and the batch.
        isa: the instruction set of the kernels.
        seed: of everything random.
        options: the options that the value depends on.
        error: why the value is NaN or infinite and not to be ranked; None for a good one.
        raw: the value of the formula.
        higher_is_better: which way it points.
        coverage: the share of the elements of the network's trainable weight matrices that the proxy's pass observed;
            None for a proxy that uses no gradients of single weights. Parameters with two dimensions larger than one
            count, whatever call multiplies them with features, but no tables of positions that are only added or
            looked up.
        n_gradient_samples: G, the samples whose gradients were taken; 0 for a proxy without an observed backward pass.
        repeated: the values of the repeats, whose mean is `value`, where there were several; the layers are then those
            of the first.
        standard_error: of that mean; None without repeats.

    Example:
        >>> import torch, lswag_fast
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
        >>> found = lswag_fast.score(model, (torch.randn(8, 8), torch.arange(8) % 3), proxy="params")
        >>> found.value, found.n_samples, found.error
        (195.0, 8, None)
        >>> found
        Score(proxy='params', value=195.0, 0 layers, coverage=None, error=None)
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
    coverage: float | None = None
    n_gradient_samples: int = 0
    repeated: tuple[float, ...] = ()
    standard_error: float | None = None

    @classmethod
    def of_repeats(cls, scores: Sequence[Score]) -> Score:
        """Return the mean of two scores or more of one proxy, with all else of the first of them.

        Where one of them has no value, neither has the mean, and `error` says why, and which one it is unless all have
        none for the same reason.
        """
        first, values = scores[0], tuple(score.value for score in scores)
        failed = next(
            (f"{name_of_repeat(k, score.n_samples)}: {score.error}" for k, score in enumerate(scores) if score.error),
            None,
        )
        if first.error and len({score.error for score in scores}) == 1:
            failed = first.error
        has_value = failed is None
        return replace(
            first,
            value=statistics.fmean(values) if has_value else math.nan,
            raw=statistics.fmean(score.raw for score in scores) if has_value else math.nan,
            n_samples=sum(score.n_samples for score in scores),
            elapsed_ms=sum(score.elapsed_ms for score in scores),
            error=failed,
            repeated=values,
            standard_error=statistics.stdev(values) / math.sqrt(len(values)) if has_value else math.nan,
        )

    def __repr__(self) -> str:
        """Return the outcome in one line."""
        n = len(self.layers)
        return (
            f"Score(proxy={self.proxy!r}, value={self.value!r}, {n} layer{'s' if n != 1 else ''}, "
            f"coverage={self.coverage!r}, error={self.error!r})"
        )

    def __float__(self) -> float:
        """Return the value."""
        return self.value

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain dicts, lists and numbers, ready for JSON.

        Example:
            >>> import torch, lswag_fast
            >>> model = torch.nn.Linear(8, 3)
            >>> lswag_fast.score(model, (torch.randn(4, 8), torch.arange(4) % 3), proxy="params").to_dict()["value"]
            27.0
        """
        return asdict(self)

    def plot(self) -> Figure:
        """Draw Lambda_l and Psi_l over the layers; needs matplotlib (`pip install lswag-fast[plot]`).

        Returns:
            A figure that is not shown; save it with `figure.savefig(path)`.

        Raises:
            InputError: the score has no layers, as those of proxies that do not observe single layers.
            MissingExtraError: matplotlib is not installed.
        """
        title = f"{self.proxy} = {self.value:.6g}   (B = {self.n_samples}, S = {self.n_pattern_samples})"
        return plot_profile([asdict(layer) for layer in self.layers], title)


class Scores(dict[str, Score]):
    """What `score_many` returns: {proxy: Score}.

    Attributes:
        passes: the names of the passes that were run for it, in order.

    Example:
        >>> import torch, lswag_fast
        >>> model = torch.nn.Linear(8, 3)
        >>> batch = torch.randn(4, 8), torch.arange(4) % 3
        >>> scores = lswag_fast.score_many(model, batch, proxies=["snip", "grad_norm"])
        >>> list(scores), scores.passes
        (['snip', 'grad_norm'], ('standard',))
    """

    def __init__(self, passes: tuple[str, ...]) -> None:
        super().__init__()
        self.passes = passes

    @classmethod
    def of_repeats(cls, each: Sequence[Scores]) -> Scores:
        """Return the scores by the same proxies of two repeats or more as one, see `Score.of_repeats`."""
        found = cls(each[0].passes)
        found.update({name: Score.of_repeats([scores[name] for scores in each]) for name in each[0]})
        return found
