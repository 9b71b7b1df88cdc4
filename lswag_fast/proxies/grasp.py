"""GraSP: what the flow of the gradient would lose without each weight, by a Hessian-gradient product."""

from __future__ import annotations

import math

from lswag_fast.passes.double_backward import DoubleBackwardMeasurements
from lswag_fast.proxies.registry import Measurements, register_proxy


def grasp(numbers: Measurements) -> float:
    """sum -(W * Hg) over the weights of linear and convolution calls, g and H the gradient and the Hessian of the mean
    loss, temperature 1 (Wang, Zhang, Grosse, "Picking Winning Tickets Before Training by Preserving Gradient Flow",
    ICLR 2020, Eq. 8). Any real number; proportional to the square of the loss's scale.

    The sum runs over terms of both signs, so that it may be small beside them, and rounding then shows. Higher is
    better, with the sign of zero-cost-nas. On a vision transformer H couples the blocks through attention.
    Deviations: the published code runs the network twice, so that dropout draws twice; here once. Hg is that of the
    whole batch. Functional calls on a parameter count as modules do. Frozen weights do not count, as in every proxy
    here; there they are unfrozen.
    """
    return -math.fsum(numbers.of(DoubleBackwardMeasurements).weight_hessian_gradient.values())


register_proxy(
    "grasp",
    grasp,
    needs={"double_backward": ("weight_hessian_gradient",)},
    reference="Wang, Zhang, Grosse, ICLR 2020; Abdelfattah, Mehrotra, Dudziak, Lane, ICLR 2021",
    summary="weight times Hessian times gradient, negated",
)
