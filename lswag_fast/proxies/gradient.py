"""Proxies of the batch gradient: grad_norm, plain, snip, fisher (zero-cost-nas: Abdelfattah et al., ICLR 2021).

Their published form takes the mean loss over the batch, whose gradient is G/B with G the gradient of the summed loss
that a pass measures. The weights of observed calls count, as published; here also those of functional
calls. Higher is better. All are proportional to a power of the loss's scale, and grow with the number of weights.

Example:
    >>> import torch, lswag_fast
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
    >>> batch = torch.randn(4, 8), torch.tensor([0, 1, 2, 0])
    >>> scores = lswag_fast.score_many(model, batch, proxies=["grad_norm", "plain", "snip", "fisher"])
    >>> scores.passes  # all four share one forward and one backward pass
    ('standard',)
    >>> abs(scores["plain"].value) <= scores["snip"].value
    True
"""

from __future__ import annotations

import math

from lswag_fast.errors import ZeroSaliencyError
from lswag_fast.passes.shared.checks import RESCUE, listed
from lswag_fast.passes.standard.measurements import StandardMeasurements
from lswag_fast.proxies.registry import Measurements, register_proxy

_SUITE = "Abdelfattah, Mehrotra, Dudziak, Lane, ICLR 2021"


def grad_norm(measurements: Measurements) -> float:
    """sum_l ||dL/dW_l||_2, the Euclidean norm of each weight's gradient of the mean loss.

    On a vision transformer the four matrices of each block and the head make up the sum.

    Returns:
        A number in (0, inf).

    Raises:
        NothingObservedError: no weight could be observed.
        NonFiniteGradientError: a loss or a gradient is NaN or infinite.
        ZeroSaliencyError: the score is made of zeros alone.
    """
    standard = measurements.of(StandardMeasurements)
    norms = [math.sqrt(layer["sum_squared_batch_gradient"]) for layer in standard.layers()]
    return math.fsum(_live(standard, "grad_norm", norms)) / standard.n_gradient_samples


def plain(measurements: Measurements) -> float:
    """sum_w w dL/dw, signed.

    LayerNorm and BatchNorm make the loss blind to the scale of the weights before them: the terms of these weights
    vanish.

    Returns:
        Any real number, near 0 where the loss hardly changes with the scale of the weights.

    Raises:
        NothingObservedError, NonFiniteGradientError, ZeroSaliencyError: as `grad_norm`.
    """
    standard = measurements.of(StandardMeasurements)
    _live(standard, "plain", [layer["sum_abs_weight_gradient"] for layer in standard.layers()])
    return math.fsum(layer["sum_weight_gradient"] for layer in standard.layers()) / standard.n_gradient_samples


def snip(measurements: Measurements) -> float:
    """sum_w |w dL/dw|, the sensitivity of the loss to dropping each weight.

    Lee, Ajanthan, Torr, ICLR 2019, Eq. 6, without its normalisation. On a vision transformer the widest matrices
    dominate.

    Returns:
        A number in (0, inf).

    Raises:
        NothingObservedError, NonFiniteGradientError, ZeroSaliencyError: as `grad_norm`.
    """
    standard = measurements.of(StandardMeasurements)
    saliencies = _live(standard, "snip", [layer["sum_abs_weight_gradient"] for layer in standard.layers()])
    return math.fsum(saliencies) / standard.n_gradient_samples


def fisher(measurements: Measurements) -> float:
    """The sum over weights of Delta_k = 1/2 mean_b (sum_positions a dL/da)^2 of their output channel k.

    a is the output of a linear or convolution call (Turner et al., "BlockSwap", ICLR 2020).

    Departures from the published code: on a token sequence (B, T, O) the channels are the O features and the sum runs
    over the tokens, where the code takes the tokens for channels; and the model keeps its own mode, where the code
    forces train mode.

    Returns:
        A number in (0, inf).

    Raises:
        NothingObservedError, NonFiniteGradientError, ZeroSaliencyError: as `grad_norm`.
    """
    standard = measurements.of(StandardMeasurements)
    total = math.fsum(_live(standard, "fisher", [layer.fisher for layer in standard.layers()]))
    return total / (2 * standard.n_gradient_samples**3)


def _live(standard: StandardMeasurements, proxy: str, saliencies: list[float]) -> list[float]:
    """The saliencies of the layers; raises ZeroSaliencyError when all are 0, as of a dead network."""
    if any(saliencies):
        return saliencies
    cut = [layer.name for layer in standard.layers() if not layer.n_finite_variance]
    cause = f"no gradient varies in {listed(cut)}" if cut else "the weights or outputs that gradients reach are zero"
    raise ZeroSaliencyError(f"{proxy} of all {len(saliencies)} weights is zero; {cause}. {RESCUE}")


register_proxy(
    "grad_norm",
    grad_norm,
    needs={"standard": ("gradients", "batch_gradient")},
    reference=_SUITE,
    summary="norm of the batch gradient, summed over the layers",
)
register_proxy(
    "plain",
    plain,
    needs={"standard": ("gradients", "batch_gradient")},
    reference=_SUITE,
    summary="weight times gradient, signed",
)
register_proxy(
    "snip",
    snip,
    needs={"standard": ("gradients", "batch_gradient")},
    reference="Lee, Ajanthan, Torr, ICLR 2019; " + _SUITE,
    summary="magnitude of weight times gradient",
)
register_proxy(
    "fisher",
    fisher,
    needs={"standard": ("gradients", "fisher")},
    reference="Turner et al., ICLR 2020; " + _SUITE,
    summary="squared activation times gradient of each channel",
)
