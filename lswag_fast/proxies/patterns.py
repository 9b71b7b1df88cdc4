"""Proxies of activation patterns, without gradients: NWOT and SWAP. Higher is better.

The sign of an activation's output stands for the published 1[input > 0]: they agree for every function that is
counted. So GELU and SiLU networks have patterns too, vision transformers among them.

Example:
    >>> import torch, lswag_fast
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.ReLU(), torch.nn.Linear(64, 3))
    >>> batch = torch.randn(16, 8), torch.arange(16) % 3
    >>> scores = lswag_fast.score_many(model, batch, proxies=["nwot", "swap"])
    >>> 1 <= scores["swap"].value <= 64  # of 64 neurons
    True
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


def nwot(measurements: Measurements) -> float:
    """ln |det K|, K[a, b] the number of neurons on which samples a and b agree, over all activations.

    Mellor, Turner, Storkey, Crowley, ICML 2021, Eq. 2. The whole batch counts. Departure from the published code: every
    activation call is seen, where its hooks see `nn.ReLU` modules only.

    Returns:
        A number that grows with B and with the number of neurons; -inf when two samples share all activation codes.

    Raises:
        InputError: the batch went through in chunks.
        NoActivationsError: no activation was seen.
    """
    total = sum(activation_kernels(measurements, "nwot"), start=torch.zeros((), dtype=torch.float64, device="cpu"))
    return float(torch.linalg.slogdet(total).logabsdet)


def activation_kernels(measurements: Measurements, proxy: str) -> list[Tensor]:
    """K of each activation call, for a proxy that is to be named in messages.

    Args:
        measurements: those of a standard pass with the statistic "activation_codes".
        proxy: the name that messages begin with.

    Returns:
        One (B, B) float64 tensor per activation call, in order of execution.

    Raises:
        InputError: the batch went through in chunks.
        NoActivationsError: no activation was seen.
    """
    kernels = [activation.agreements for activation in measurements.of(StandardMeasurements).activations()]
    known = [kernel.double() for kernel in kernels if kernel is not None]
    if len(known) < len(kernels):
        raise InputError(f"{proxy} compares all samples of the batch with each other; leave chunk_size out")
    return known


def swap(measurements: Measurements) -> float:
    """Sample-wise activation patterns: the number of distinct patterns of all neurons of the network, in one set.

    The patterns are those of the first `pattern_samples` samples (Peng et al., ICLR 2024, Def. 3.2). Departures from
    the published script: one draw of the weights, the model's own, where the script averages 32 (average over seeds
    outside when you need it); activations of any shape count, there 4-D ones only.

    Returns:
        A whole number from 1 to the number of neurons.

    Raises:
        NoActivationsError: no activation was seen.
    """
    standard = measurements.of(StandardMeasurements)
    return float(standard.patterns.union_cardinality(range(len(standard.activations()))))


def reg_swap(measurements: Measurements, mu: float = 25.0, sigma: float = 25.0) -> float:
    """ln of SWAP regularised by the network's size: ln Psi - (P - mu)^2 / sigma, P in millions of parameters.

    Peng et al., ICLR 2024, Def. 3.3, in its logarithm: the exponential underflows far from mu. Departure from the
    published code: it counts P in thousands, with constants that are not all known; 25 and 25 are its values for
    ImageNet, here in millions.

    Args:
        measurements: those of the standard pass, and the number of parameters.
        mu: the size to look for, in millions of parameters.
        sigma: how strictly, > 0. Set both for your space.

    Returns:
        Any real number, at most the logarithm of `swap`.

    Raises:
        InputError: `mu` or `sigma` is no number, or `sigma` is not positive.
        NoActivationsError: no activation was seen.
    """
    if not isinstance(mu, _NUMBERS) or not isinstance(sigma, _NUMBERS) or sigma <= 0:
        raise InputError(f"reg_swap: mu must be a number and sigma a positive one, got {mu!r} and {sigma!r}")
    millions = measurements.of(ModelMeasurements).n_params / 1e6
    return math.log(swap(measurements)) - (millions - mu) ** 2 / sigma


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
