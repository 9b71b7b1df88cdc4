"""Proxies of the mean and the standard deviation of gradients: ZiCo and xi-GSNR. Higher is better.

Both were published over N batches. A single batch gives the moments over its samples; pass a list of N batches (or
`variance="microbatch:N"`) for the published form. Two batches are ill-conditioned: sigma is then |g1 - g2| / 2, and one
weight can carry most of a layer's sum.

Example:
    >>> import torch, lswag_fast
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
    >>> batches = [(torch.randn(4, 8), torch.tensor([0, 1, 2, 0])) for _ in range(3)]
    >>> scores = lswag_fast.score_many(model, batches, proxies=["zico", "xi_gsnr"])
    >>> scores["xi_gsnr"].value > 0
    True
"""

from __future__ import annotations

import math
from typing import Literal

from lswag_fast.errors import InputError, ZeroVarianceError
from lswag_fast.passes.shared.checks import RESCUE
from lswag_fast.passes.standard.measurements import StandardMeasurements
from lswag_fast.proxies.registry import Measurements, register_proxy


def zico(measurements: Measurements, sigma: Literal["signed", "abs"] = "signed") -> float:
    """sum_l ln sum_w E|g| / sigma (Li et al., ICLR 2023, Eq. 15).

    Elements without variance are left out, and so are layers in which none varies, with a warning. The scale of the
    loss cancels. On a vision transformer each linear weight of a block is a layer.

    Args:
        measurements: those of the standard pass.
        sigma: "signed", the population standard deviation of the signed g, as in the official code; "abs", that of |g|,
            as Eq. 15 says.

    Returns:
        Any real number, in practice positive.

    Raises:
        InputError: another `sigma`, or the pass ran with gradient="signed", which measures no E|g|.
        NothingObservedError, NonFiniteGradientError, ZeroVarianceError: no weight, a NaN, or nothing that varies.
    """
    if sigma not in ("signed", "abs"):
        raise InputError(f"zico: sigma must be 'signed' or 'abs', got {sigma!r}")
    layers = measurements.of(StandardMeasurements).varying_layers()
    if any("sum_mean_abs_over_sigma" not in layer for layer in layers):
        raise InputError("zico needs the mean of |g|, which gradient='signed' does not measure; leave gradient out")
    if sigma == "abs":
        return math.fsum(math.log(layer["sum_mu_over_sigma"]) for layer in layers)
    sums = (layer["sum_mean_abs_over_sigma"] for layer in layers)
    return math.fsum(math.log(value) for value in sums if value)


def xi_gsnr(measurements: Measurements) -> float:
    """sum_w (E g)^2 / (Var g + xi), xi = 1e-8, over all weights (Sun et al., "xi-GSNR", ICML 2023).

    g is a sample's gradient of its own loss; of a list of batches, the gradient of each batch's mean loss. A layer
    without variance contributes 0, as in the official code. Departure from that code: it never zeroes the gradients
    between batches, so that it sees their running sums; here each batch stands for itself.

    Returns:
        A number in [0, inf).

    Raises:
        NothingObservedError, NonFiniteGradientError: no weight could be observed, or one has a NaN.
        ZeroVarianceError: nothing varies.
    """
    layers = measurements.of(StandardMeasurements).layers()
    if not any(layer.n_finite_variance for layer in layers):
        raise ZeroVarianceError(f"xi_gsnr: no gradient of the {len(layers)} observed weight(s) varies. {RESCUE}")
    return math.fsum(layer["sum_gsnr"] for layer in layers if layer.n_finite_variance)


register_proxy(
    "zico",
    zico,
    needs={"standard": ("gradients", "batch_gradient")},
    reference="Li, Yang, Bhardwaj, Marculescu, ICLR 2023, Eq. 15",
    summary="mean over standard deviation of the gradients, log-summed layer by layer",
)
register_proxy(
    "xi_gsnr",
    xi_gsnr,
    needs={"standard": ("gradients", "batch_gradient")},
    reference="Sun et al., ICML 2023",
    summary="gradient signal-to-noise ratio, summed over the weights",
)
