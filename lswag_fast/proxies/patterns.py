"""Proxies of activation patterns, without gradients: NWOT and SWAP. Higher is better.

The sign of an activation's output stands for the published 1[input > 0]: they agree for every function that is
counted. So GELU and SiLU networks have patterns too, vision transformers among them.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from lswag_fast.errors import InputError
from lswag_fast.passes.model import ModelMeasurements
from lswag_fast.passes.standard.measurements import StandardMeasurements
from lswag_fast.proxies.registry import Measurements, register_proxy

_NUMBERS = (int, float, np.integer, np.floating)


def nwot(numbers: Measurements) -> float:
    """ln |det K|, K[a, b] = the number of neurons on which samples a and b agree, over all activations (Mellor, Turner,
    Storkey, Crowley, ICML 2021, Eq. 2). -inf when two samples share all activation codes; grows with B and the
    number of neurons.

    The whole batch counts. Deviation: every activation call is seen, the published hooks see `nn.ReLU` modules only.
    Raises InputError when the batch went through in chunks.
    """
    total = sum(activation_kernels(numbers, "nwot"), start=torch.zeros((), dtype=torch.float64))
    return float(torch.linalg.slogdet(total).logabsdet)


def activation_kernels(numbers: Measurements, proxy: str) -> list[Tensor]:
    """K of each activation call, (B, B) float64, for a proxy that is to be named in messages."""
    kernels = [activation.agreements for activation in numbers.of(StandardMeasurements).activations()]
    known = [kernel.double() for kernel in kernels if kernel is not None]
    if len(known) < len(kernels):
        raise InputError(f"{proxy} compares all samples of the batch with each other; leave chunk_size out")
    return known


def swap(numbers: Measurements) -> float:
    """Sample-wise activation patterns: the number of distinct patterns of all neurons of the network, in one set, over
    the first `pattern_samples` samples (Peng et al., ICLR 2024, Def. 3.2). Range 1 to the number of neurons.

    Deviations: one draw of the weights, the model's own, where the published script averages 32; activations of any
    shape count, there 4-D ones only. Average over seeds outside when you need it.
    """
    standard = numbers.of(StandardMeasurements)
    return float(standard.patterns.union_cardinality(range(len(standard.activations()))))


def reg_swap(numbers: Measurements, mu: float = 25.0, sigma: float = 25.0) -> float:
    """ln of SWAP regularised by the network's size, ln Psi - (P - mu)^2 / sigma, P in millions of parameters (Peng et
    al., ICLR 2024, Def. 3.3, in its logarithm: the exponential underflows far from mu).

    mu is the size to look for, sigma how strictly; set both for your space. Deviation: the published code counts P in
    thousands, with constants that are not all known; 25 and 25 are its values for ImageNet, here in millions.
    """
    if not isinstance(mu, _NUMBERS) or not isinstance(sigma, _NUMBERS) or sigma <= 0:
        raise InputError(f"reg_swap: mu must be a number and sigma a positive one, got {mu!r} and {sigma!r}")
    millions = numbers.of(ModelMeasurements).n_params / 1e6
    return math.log(swap(numbers)) - (millions - mu) ** 2 / sigma


_SWAP = "Peng, Song, Fayek, Ciesielski, Chang, ICLR 2024"
register_proxy(
    "nwot",
    nwot,
    needs={"standard": ("activation_codes",)},
    reference="Mellor, Turner, Storkey, Crowley, ICML 2021",
    summary="how differently the samples switch the neurons on",
)
register_proxy(
    "swap",
    swap,
    needs={"standard": ("patterns",)},
    reference=_SWAP,
    summary="distinct neuron patterns of the whole network",
)
register_proxy(
    "reg_swap",
    reg_swap,
    needs={"standard": ("patterns",), "model": ("params",)},
    reference=_SWAP,
    summary="swap, regularised by the number of parameters, in its logarithm",
)
