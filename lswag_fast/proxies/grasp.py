"""GraSP: what the flow of the gradient would lose without each weight, by a Hessian-gradient product.

Example:
    >>> import torch, lswag_fast
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.GELU(), torch.nn.Linear(16, 3))
    >>> batch = torch.randn(4, 8), torch.tensor([0, 1, 2, 0])
    >>> lswag_fast.score_many(model, batch, proxies=["grasp"]).passes
    ('double_backward',)
"""

from __future__ import annotations

import math

from lswag_fast.errors import ZeroSaliencyError
from lswag_fast.passes.double_backward import DoubleBackwardMeasurements
from lswag_fast.passes.shared.checks import RESCUE
from lswag_fast.proxies.registry import Measurements, register_proxy


def grasp(measurements: Measurements) -> float:
    """sum -(W * Hg) over the weights of observed calls.

    g and H are the gradient and the Hessian of the mean loss, temperature 1 (Wang, Zhang, Grosse, "Picking Winning
    Tickets Before Training by Preserving Gradient Flow", ICLR 2020, Eq. 8), with the sign of zero-cost-nas: higher is
    better. The terms have both signs, so the sum may be small beside them, and rounding then shows. On a vision
    transformer H couples the blocks through attention.

    Departures from the published code: it runs the network twice, so that dropout draws twice, here once; Hg is that of
    the whole batch; functional calls on a parameter count as modules do; frozen weights do not count, as in every proxy
    here, where the code unfreezes them.

    Returns:
        Any real number but 0, proportional to the square of the loss's scale.

    Raises:
        ZeroSaliencyError: the term of every weight is 0.
    """
    products = measurements.of(DoubleBackwardMeasurements).weight_hessian_gradient.values()
    if not any(products):
        raise ZeroSaliencyError(
            f"grasp of all {len(products)} weights is zero: the loss is linear in the weights, or nothing passes "
            f"through the network. {RESCUE}"
        )
    return -math.fsum(products)


register_proxy(
    "grasp",
    grasp,
    needs={"double_backward": ("weight_hessian_gradient",)},
    reference="Wang, Zhang, Grosse, ICLR 2020; Abdelfattah, Mehrotra, Dudziak, Lane, ICLR 2021",
    summary="weight times Hessian times gradient, negated",
)
