"""TE-NAS: the condition number of the neural tangent kernel, the number of linear regions, and the ranks of both.

Chen, Gong, Wang, "Neural Architecture Search on ImageNet in Four GPU Hours", ICLR 2021.

Example:
    >>> import torch, lswag_fast
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.ReLU(), torch.nn.Linear(64, 3))
    >>> batch = torch.randn(4, 8), torch.tensor([0, 1, 2, 0])
    >>> scores = lswag_fast.score_many(model, batch, proxies=["te_nas"])  # its parts; `rank_networks` ranks networks
    >>> scores["te_nas_ntk"].value >= 1, scores["te_nas_regions"].value <= 4
    (True, True)
"""

from __future__ import annotations

import math

import torch

from lswag_fast.errors import NonFiniteGradientError
from lswag_fast.passes.ntk import NtkMeasurements
from lswag_fast.proxies.patterns import activation_kernels
from lswag_fast.proxies.registry import Measurements, register_proxy, register_ranked


def te_nas_ntk(measurements: Measurements) -> float:
    """kappa = lambda_max / lambda_min of the NTK. Lower is better.

    Theta[a, b] = sum_l <G_la, G_lb>, G_lb the gradient of the sum of sample b's logits in weight l. kappa depends on
    the batch size more than on the network: compare at one size. It is the same on a vision transformer as on a CNN.

    Departures from the published code: the weights of observed calls count, there every parameter named
    "weight", which adds the scales of norms; with a BatchNorm in train mode, the published one, a sample's gradient is
    here its share of the batch gradient (in eval mode the two agree); a kernel that is not finite is an error, there it
    scores 1e5.

    Returns:
        A number in [1, inf]; inf for a singular kernel.

    Raises:
        NonFiniteGradientError: the gradients of the logits hold NaN or infinite values.
    """
    kernel = torch.stack(list(measurements.of(NtkMeasurements).gram.values())).sum(0)
    if not bool(torch.isfinite(kernel).all()):
        raise NonFiniteGradientError("te_nas_ntk: the gradients of the logits hold NaN or infinite values")
    eigenvalues = torch.linalg.eigvalsh(kernel)
    smallest, largest = eigenvalues[0].item(), eigenvalues[-1].item()
    return largest / smallest if smallest > 0 else math.inf


def te_nas_regions(measurements: Measurements) -> float:
    """The number of linear regions that the batch meets: distinct patterns of the signs of all activations, one per
    sample.

    Departure from the paper: the published number is counted on a thin network of one input channel, on 3000 tiny
    random inputs; such a network cannot be had from a module, so the model itself is looked at, on the batch. Images
    that differ rarely share a region there, and the count is then B and says nothing; the rank of kappa decides alone.
    On a vision transformer, whose GELU has no linear regions, the signs stand for them.

    Returns:
        A whole number from 1 to B.

    Raises:
        InputError: the batch went through in chunks.
        NoActivationsError: no activation was seen.
    """
    agreements = torch.stack(activation_kernels(measurements, "te_nas_regions")).sum(0)
    same = agreements == agreements.diagonal()  # all neurons agree
    return float((same.int().argmax(1) == torch.arange(len(same), device=same.device)).sum())


register_proxy(
    "te_nas_ntk",
    te_nas_ntk,
    needs={"ntk": ("gram",)},
    higher_is_better=False,
    reference="Chen, Gong, Wang, ICLR 2021",
    summary="condition number of the neural tangent kernel",
)
register_proxy(
    "te_nas_regions",
    te_nas_regions,
    needs={"standard": ("activation_codes",)},
    reference="Chen, Gong, Wang, ICLR 2021",
    summary="linear regions that the samples lie in",
)
register_ranked(
    "te_nas",
    parts=("te_nas_ntk", "te_nas_regions"),
    aggregate="rank_sum",
    reference="Chen, Gong, Wang, ICLR 2021",
    summary="ranks of the condition number and of the linear regions, added",
)
