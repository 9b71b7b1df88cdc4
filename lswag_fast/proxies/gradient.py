"""Proxies of the batch gradient: grad_norm, plain, snip, fisher (zero-cost-nas: Abdelfattah et al., ICLR 2021).

Their published form takes the mean loss over the batch, whose gradient is G/B with G the gradient of the summed loss
that a pass measures. Weights of linear and convolution calls count, as published; here also functional ones.
Higher is better. All are proportional to powers of the loss's scale, and grow with the number of weights.
"""

from __future__ import annotations

import math

from lswag_fast.passes.standard.measurements import StandardMeasurements
from lswag_fast.proxies.registry import Measurements, register_proxy

_SUITE = "Abdelfattah, Mehrotra, Dudziak, Lane, ICLR 2021"


def grad_norm(numbers: Measurements) -> float:
    """sum_l ||dL/dW_l||_2, the Euclidean norm of each weight's gradient of the mean loss. Range [0, inf).

    On a vision transformer the four matrices of a block and the head make the sum.
    """
    standard = numbers.of(StandardMeasurements)
    return math.fsum(math.sqrt(layer["sum_squared_batch_gradient"]) for layer in standard.layers()) / standard.n_samples


def plain(numbers: Measurements) -> float:
    """sum_w w dL/dw, signed; any real number, near 0 where the loss hardly changes with the scale of the weights.

    LayerNorm and BatchNorm make the loss blind to the scale of weights before them: their terms vanish.
    """
    standard = numbers.of(StandardMeasurements)
    return math.fsum(layer["sum_weight_gradient"] for layer in standard.layers()) / standard.n_samples


def snip(numbers: Measurements) -> float:
    """sum_w |w dL/dw|, the sensitivity of the loss to dropping each weight (Lee, Ajanthan, Torr, ICLR 2019, Eq. 6,
    without its normalisation). Range [0, inf). On a vision transformer dominated by the widest matrices."""
    standard = numbers.of(StandardMeasurements)
    return math.fsum(layer["sum_abs_weight_gradient"] for layer in standard.layers()) / standard.n_samples


def fisher(numbers: Measurements) -> float:
    """sum over weights of Delta_k = 1/2 mean_b (sum_positions a dL/da)^2 of their output channel k, a the output of a
    linear or convolution call (Turner et al., "BlockSwap", ICLR 2020). Range [0, inf).

    Deviations: on a token sequence (B, T, O) the channels are the O features and the sum runs over the tokens; the
    published code takes the tokens for channels. It also forces train mode, this runs in the model's own.
    """
    standard = numbers.of(StandardMeasurements)
    total = math.fsum(layer.fisher for layer in standard.layers())
    return total / (2 * standard.n_samples**3)


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
