"""Proxies that look at the network only: params, flops, l2_norm. Higher is better: larger networks rank first."""

from __future__ import annotations

import math

from lswag_fast.passes.model import ModelMeasurements
from lswag_fast.proxies.registry import Measurements, register_proxy


def params(numbers: Measurements) -> float:
    """The number of parameters, in units (the suite of NASLib gives millions). Tied parameters count once."""
    return float(numbers.of(ModelMeasurements).n_params)


def flops(numbers: Measurements) -> float:
    """Multiply-accumulates of one sample's forward pass (the field calls them flops), matrix products of attention
    included, as torch's FlopCounterMode sees them; element-wise operations and norms are not counted."""
    return float(numbers.of(ModelMeasurements).macs)


def l2_norm(numbers: Measurements) -> float:
    """sum_l ||W_l||_2 over the weights of linear and convolution calls. The data play no part."""
    return math.fsum(numbers.of(ModelMeasurements).weight_norms.values())


register_proxy("params", params, needs={"model": ("params",)}, reference="", summary="number of parameters")
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
