"""Proxies that look at the network only: params, its thirds, flops, l2_norm. Higher is better: larger ones rank first.

Example:
    >>> import torch, lswag_fast
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
    >>> batch = torch.randn(4, 8), torch.tensor([0, 1, 2, 0])
    >>> scores = lswag_fast.score_many(model, batch, proxies=["params", "flops"])
    >>> scores["params"].value, scores["flops"].value
    (195.0, 176.0)
"""

from __future__ import annotations

import math

from lswag_fast.errors import ZeroSaliencyError
from lswag_fast.passes.model import ModelMeasurements
from lswag_fast.passes.shared.checks import RESCUE
from lswag_fast.proxies.registry import Measurements, register_proxy

N_PARTS = 3
"""Of the layers, whose parameters are proxies of their own."""


def params(measurements: Measurements) -> float:
    """The number of parameters, tied ones counted once; of a computed weight (weight norm) those that it is made from.

    Departure from the suite of NASLib: in units, where the suite gives millions.

    Returns:
        A whole number from 0 on.
    """
    return float(measurements.of(ModelMeasurements).n_params)


def params_early(measurements: Measurements) -> float:
    """The elements of the weights in the first third of the layers.

    Layer k of L, counted from 0 in the order in which a forward pass first calls them, lies in third floor(3 k / L). A
    weight that several layers share lies where it is first called; biases, norms and tables that are looked up count in
    none. Two networks of one size may have their weights early or late, which `params` does not see.

    Returns:
        A whole number from 0 on.

    Raises:
        NothingObservedError: there is no such weight.
    """
    return _params_of(measurements, 0)


def params_middle(measurements: Measurements) -> float:
    """The elements of the weights in the second third of the layers, see `params_early`.

    Returns:
        A whole number from 0 on; 0 for a network of one layer.

    Raises:
        NothingObservedError: there is no such weight.
    """
    return _params_of(measurements, 1)


def params_late(measurements: Measurements) -> float:
    """The elements of the weights in the last third of the layers, see `params_early`.

    Returns:
        A whole number from 0 on; 0 for a network of one or two layers.

    Raises:
        NothingObservedError: there is no such weight.
    """
    return _params_of(measurements, 2)


def _params_of(measurements: Measurements, part: int) -> float:
    sizes = list(measurements.of(ModelMeasurements).weight_sizes.values())
    return float(sum(size for k, size in enumerate(sizes) if N_PARTS * k // len(sizes) == part))


def flops(measurements: Measurements) -> float:
    """Multiply-accumulates of one sample's forward pass; the field calls them flops.

    Linear, convolution and recurrent layers, and every other product of matrices: those of attention, masked or not, in
    whichever kernel they end. Biases, element-wise operations, norms, pooling, softmax and look-ups are not counted,
    nor are the products that compute a weight (spectral norm, a merged adapter): a weight is computed once, however
    many samples there are. A table of positions that is computed counts, as it does where counts are published.

    Returns:
        A whole number from 0 on.
    """
    return float(measurements.of(ModelMeasurements).macs)


def l2_norm(measurements: Measurements) -> float:
    """sum_l ||W_l||_2 over the weights of observed calls. The data play no part.

    A weight that the model computes (weight norm, a mask) counts as the call receives it.

    Returns:
        A number in (0, inf).

    Raises:
        NothingObservedError: there is no such weight.
        ZeroSaliencyError: every weight is zero.
    """
    norms = measurements.of(ModelMeasurements).weight_norms.values()
    if not any(norms):
        raise ZeroSaliencyError(f"l2_norm: all {len(norms)} weights are zero. {RESCUE}")
    return math.fsum(norms)


register_proxy("params", params, needs={"model": ("params",)}, reference="", summary="number of parameters")
for _place, _compute in (("first", params_early), ("second", params_middle), ("last", params_late)):
    register_proxy(
        _compute.__name__,
        _compute,
        needs={"model": ("sizes",)},
        reference="",
        summary=f"number of weights in the {_place} third of the layers",
    )
register_proxy(
    "flops",
    flops,
    needs={"model": ("macs",)},
    reference="",
    summary="multiply-accumulates of one sample, attention included",
)
register_proxy(
    "l2_norm",
    l2_norm,
    needs={"model": ("norms",)},
    reference="Abdelfattah, Mehrotra, Dudziak, Lane, ICLR 2021",
    summary="norm of the weights, summed over the layers",
)
