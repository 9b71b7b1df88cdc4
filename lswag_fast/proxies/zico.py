"""Proxies of the mean and the deviation of gradients: ZiCo and xi-GSNR. Higher is better.

Both were published over N batches. A single batch gives the moments over its samples; pass a list of N batches (or
`variance="microbatch:N"`) for the published form. Two batches are ill-conditioned: sigma is then |g1 - g2| / 2, and one
weight can carry most of a layer's sum.
"""

from __future__ import annotations

import math
from typing import Literal

from lswag_fast.errors import InputError
from lswag_fast.passes.standard.measurements import StandardMeasurements
from lswag_fast.proxies.registry import Measurements, register_proxy


def zico(numbers: Measurements, sigma: Literal["signed", "abs"] = "signed") -> float:
    """sum_l ln sum_w E|g| / sigma (Li et al., ICLR 2023, Eq. 15). Any real number, in practice positive.

    sigma is the population deviation of the signed g, as in the official code, or with sigma="abs" that of |g|, as
    Eq. 15 says. Elements without variance are left out, and so are layers in which none varies, with a warning. The
    scale of the loss cancels. On a vision transformer each linear weight of a block is a layer.

    Raises InputError for another `sigma`, or for gradient="signed", which measures no E|g|.
    """
    if sigma not in ("signed", "abs"):
        raise InputError(f"zico: sigma must be 'signed' or 'abs', got {sigma!r}")
    layers = numbers.of(StandardMeasurements).varying_layers()
    if any("sum_mean_abs_over_sigma" not in layer for layer in layers):
        raise InputError("zico needs the mean of |g|, which gradient='signed' does not measure; leave gradient out")
    if sigma == "abs":
        return math.fsum(math.log(layer["sum_mu_over_sigma"]) for layer in layers)
    sums = (layer["sum_mean_abs_over_sigma"] for layer in layers)
    return math.fsum(math.log(value) for value in sums if value)


def xi_gsnr(numbers: Measurements) -> float:
    """sum_w (E g)^2 / (Var g + xi), xi = 1e-8 (Sun et al., "xi-GSNR", ICML 2023), over all weights. Range [0, inf).

    g is a sample's gradient of its own loss; of a list of batches, the gradient of each batch's mean loss. A layer
    without variance contributes 0, as in the official code. Deviation: the code never zeroes the gradients between
    batches, so that it sees their running sums; here each batch stands for itself.
    """
    return math.fsum(
        layer["sum_gsnr"] for layer in numbers.of(StandardMeasurements).layers() if layer.n_finite_variance
    )


register_proxy(
    "zico",
    zico,
    needs={"standard": ("gradients", "batch_gradient")},
    reference="Li, Yang, Bhardwaj, Marculescu, ICLR 2023, Eq. 15",
    summary="mean over deviation of the gradients, log-summed layer by layer",
)
register_proxy(
    "xi_gsnr",
    xi_gsnr,
    needs={"standard": ("gradients", "batch_gradient")},
    reference="Sun et al., ICML 2023",
    summary="gradient signal-to-noise ratio, summed over the weights",
)
