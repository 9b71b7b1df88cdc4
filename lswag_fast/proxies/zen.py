"""Zen-score: how strongly the features of a Gaussian network move with its input, scale of BatchNorm restored.

Example:
    >>> import torch, lswag_fast
    >>> conv, norm = torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8)
    >>> model = torch.nn.Sequential(conv, norm, torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(288, 3))
    >>> batch = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])
    >>> found = lswag_fast.score(model, batch, proxy="zen", features="2")  # f: what module "2", the ReLU, gives
    >>> found.value == lswag_fast.score(model, batch, proxy="zen", features="2").value
    True
"""

from __future__ import annotations

import math
from typing import Literal, get_args

from lswag_fast.errors import InputError
from lswag_fast.passes.noise_pair import NoisePairMeasurements
from lswag_fast.proxies.registry import Measurements, register_proxy

BatchNormTerm = Literal["required", "optional"]


def zen(measurements: Measurements, batch_norm: BatchNormTerm = "required") -> float:
    """ln mean_b ||f(x_b) - f(x_b + 0.01 e_b)||_1 + sum_l ln sqrt(mean(running_var_l)).

    f are the features before pooling of the network with weights N(0, 1), as the calls on them receive them, and with
    x, e ~ N(0, 1), l its BatchNorms (Lin et al., "Zen-NAS", ICCV 2021, Alg. 1). The score does not depend on the
    model's own weights, and on the batch only by its shape. One draw, as in NASLib; the authors' command line averages
    32, which averaging over seeds does. The running variance starts from 1 and has seen the two inputs, with the
    momentum of the module.

    Departures from the published code: BatchNorm of any dimension counts, the published networks have 2-D only; of a
    list of features the last one is f; for a BatchNorm that does not run before f nothing is added.

    Args:
        measurements: those of the noise pair pass.
        batch_norm: normalisation takes the scale out of f, and the second term puts it back. "required" refuses a
            network without BatchNorm; "optional" scores it by the first term alone. For a vision transformer that is
            how strongly the tokens move, by their direction and not their scale, which LayerNorm removes and nothing
            puts back: depth then counts for little, width and the number of tokens for much.

    Returns:
        Any real number; it grows with depth and with the number of features.

    Raises:
        InputError: the network has no BatchNorm and `batch_norm` is "required", or `batch_norm` is another word.
    """
    if batch_norm not in get_args(BatchNormTerm):
        raise InputError(f"zen: batch_norm must be 'required' or 'optional', got {batch_norm!r}")
    pair = measurements.of(NoisePairMeasurements)
    if batch_norm == "required" and not pair.batch_norm_variances:
        raise InputError(
            "zen needs BatchNorm, whose variances keep the scale of the features, and none ran before them; "
            "proxy_options={'zen': {'batch_norm': 'optional'}} scores the network without"
        )
    return _log(pair.feature_distance) + math.fsum(_log(v) / 2 for v in pair.batch_norm_variances.values())


def _log(value: float) -> float:
    """ln, with -inf for 0; NaN stays."""
    return -math.inf if value == 0 else math.log(value)


register_proxy(
    "zen",
    zen,
    needs={"noise_pair": ("feature_distance", "batch_norm_variances")},
    reference="Lin, Wang, Sun, Chen, Sun, Qian, Li, Jin, ICCV 2021",
    summary="how strongly the features of a Gaussian network move with its input",
)
