"""Proxies of synaptic saliency: synflow, its logarithmic form, DSS of vision transformers, and T-CET.

All take one pass of an all-positive network on ones, without data or BatchNorm. Higher is better.

Example:
    >>> import torch, lswag_fast
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
    >>> batch = torch.randn(4, 8), torch.tensor([0, 1, 2, 0])
    >>> scores = lswag_fast.score_many(model, batch, proxies=["synflow", "logsynflow"])
    >>> scores.passes
    ('synflow',)
    >>> scores["synflow"].value == torch.tensor(scores["synflow"].raw, dtype=torch.float64).log().item()
    True
"""

from __future__ import annotations

import math

from lswag_fast.errors import InputError
from lswag_fast.passes.synflow import LayerSaliency, SynflowMeasurements
from lswag_fast.proxies.patterns import activation_kernels
from lswag_fast.proxies.registry import Measurements, register_proxy


def synflow(measurements: Measurements) -> float:
    """sum_w |w dR/dw| over the weights of observed calls, R the sum of the outputs.

    Tanaka, Kunin, Yamins, Ganguli, NeurIPS 2020; as a proxy Abdelfattah et al., ICLR 2021. On a vision transformer
    LayerNorm stays: the saliencies are not conserved from layer to layer, and GELU is not homogeneous. Departure from
    the published code: in eval mode, so that no dropout takes part; there in the mode that the network is in.

    Returns:
        s in (0, inf), 1e32 to 1e61 for deep CNNs; `Score.value` is therefore ln s, and `Score.raw` s.

    Raises:
        ZeroSaliencyError: s is 0, the network lets nothing through.
    """
    return math.fsum(layer.saliency for layer in measurements.of(SynflowMeasurements).live_layers())


def logsynflow(measurements: Measurements) -> float:
    """sum_w |w| ln(|dR/dw| + 1) (Cavagnero, Robbiano, Caputo, Averta, "FreeREA", WACV 2023).

    Departure from the published code: |dR/dw| where it takes dR/dw. They are the same for the positive CNNs that it was
    made for; through a LayerNorm dR/dw may be below -1, and its logarithm would not exist.

    Returns:
        A number in (0, inf).

    Raises:
        ZeroSaliencyError: as `synflow`.
    """
    return math.fsum(layer.log_saliency for layer in measurements.of(SynflowMeasurements).live_layers())


def dss(measurements: Measurements) -> float:
    """Diversity and saliency of a vision transformer.

    The sum over attention weights of ||dR/dW||_* ||W||_*, nuclear norms, plus sum_w |w dR/dw| of the other linear
    weights (Zhou et al., "Training-free Transformer Architecture Search", CVPR 2022). Convolutions (the patch
    projection) do not count, as published. A weight is attention's as in the published code: named so ("qkv", and here
    "in_proj"), or with as many inputs as outputs, so that an output projection counts only where heads x head size is
    the embedding's size.

    Departures from the published code: it reads no gradient of sliced supernet weights, so that with the torch it runs
    on today only its head counts, twice; here every weight counts, once. In float64, there in float32.

    Returns:
        A number in (0, inf).

    Raises:
        InputError: the network has no attention weights.
        ZeroSaliencyError: as `synflow`.
    """
    found = measurements.of(SynflowMeasurements)
    linear = [layer for layer in found.layers.values() if layer.is_linear]
    nuclear = [layer.nuclear for layer in linear if layer.nuclear is not None]
    if not nuclear:
        raise InputError(
            "dss is for vision transformers, and no linear weight is attention's: named qkv or in_proj, or square"
        )
    found.live_layers()
    return math.fsum(nuclear) + math.fsum(layer.saliency for layer in linear if not layer.is_attention)


def t_cet(measurements: Measurements) -> float:
    """sum_l ln|det K_l| SNR_l (T-CET, by a public third-party implementation).

    K_l is that of NWOT for the activation that feeds weight l. SNR_l is the sum of the weight's synflow saliencies over
    their sample standard deviation, or the sum alone where they do not vary; a weight without saliency adds nothing,
    whatever its det K_l is.

    Departures from the third-party code: it pairs the lists of activations and of weights by their place, and drops
    what is left over, where here a weight is paired as in L-SWAG; it keeps BatchNorm in its synflow, which this pass
    leaves out.

    Returns:
        Any real number; -inf when two samples share the activation codes of a layer.

    Raises:
        InputError: the two passes see different numbers of activation calls, or the batch went through in chunks.
        NoActivationsError: no activation was seen.
        ZeroSaliencyError: as `synflow`.
    """
    logdets = [kernel.slogdet().logabsdet.item() for kernel in activation_kernels(measurements, "t_cet")]
    found = measurements.of(SynflowMeasurements)
    if found.n_activations != len(logdets):
        raise InputError(
            f"t_cet pairs weights with activations, of which the data met {len(logdets)} and the synflow pass "
            f"{found.n_activations}; the network takes another path in eval mode, call model.eval() first"
        )
    # Gates of squeeze-and-excitation may have both: no saliency, and a determinant of 0, whose logarithm is -inf.
    passing = [layer for layer in found.live_layers() if layer.saliency]
    return math.fsum(logdets[layer.activation] * _signal_to_noise(layer) for layer in passing)


def _signal_to_noise(layer: LayerSaliency) -> float:
    varies = layer.standard_deviation > 0  # false also for the NaN of a single element
    return layer.saliency / layer.standard_deviation if varies else layer.saliency


register_proxy(
    "synflow",
    synflow,
    needs={"synflow": ("saliencies",)},
    reference="Tanaka, Kunin, Yamins, Ganguli, NeurIPS 2020; Abdelfattah, Mehrotra, Dudziak, Lane, ICLR 2021",
    summary="saliency of the weights without data",
    log_scale=True,
)
register_proxy(
    "logsynflow",
    logsynflow,
    needs={"synflow": ("saliencies",)},
    reference="Cavagnero, Robbiano, Caputo, Averta, WACV 2023",
    summary="saliency of the weights with the logarithm of their gradients",
)
register_proxy(
    "dss",
    dss,
    needs={"synflow": ("nuclear", "saliencies")},
    reference="Zhou, Sheng, Zheng, Li, Sun, Tian, Chen, Ji, CVPR 2022",
    summary="diversity of attention and saliency of the other weights of a transformer",
)
register_proxy(
    "t_cet",
    t_cet,
    needs={"standard": ("activation_codes",), "synflow": ("saliencies",)},
    reference="T-CET, by a third-party implementation",
    summary="NWOT times the signal-to-noise ratio of synflow, layer by layer",
)
