"""Zen-score: how strongly the features of a Gaussian network move with its input, scale of BatchNorm restored."""

from __future__ import annotations

import math
from typing import Literal, get_args

from lswag_fast.errors import InputError
from lswag_fast.passes.noise_pair import NoisePairMeasurements
from lswag_fast.proxies.registry import Measurements, register_proxy

BatchNormTerm = Literal["required", "optional"]


def zen(numbers: Measurements, batch_norm: BatchNormTerm = "required") -> float:
    """ln mean_b ||f(x_b) - f(x_b + 0.01 e_b)||_1 + sum_l ln sqrt(mean(running_var_l)), f the features before pooling of
    the network with weights N(0, 1), x, e ~ N(0, 1), l its BatchNorms (Lin et al., "Zen-NAS", ICCV 2021, Alg. 1).

    Any real number; grows with depth and with the number of features. It does not depend on the model's own weights,
    and on the batch by its shape only. One draw (NASLib); the authors' command line averages 32, which averaging over
    seeds does. The running variance starts from 1 and has seen the two inputs, with the momentum of the module.
    Deviations: BatchNorm of any dimension counts, the published networks have 2-D only; of a list of features the last
    one is f; of a BatchNorm that does not run before f nothing is added.

    batch_norm: normalisation takes the scale out of f, and the second term puts it back. A network without BatchNorm is
    refused by "required"; "optional" scores it by the first term alone. For a vision transformer that is how strongly
    the tokens move, by their direction and not their scale, which LayerNorm removes and nothing puts back: depth then
    counts for little, width and the number of tokens for much.

    Raises InputError for a network without BatchNorm, unless "optional", and for another value of `batch_norm`.
    """
    if batch_norm not in get_args(BatchNormTerm):
        raise InputError(f"zen: batch_norm must be 'required' or 'optional', got {batch_norm!r}")
    pair = numbers.of(NoisePairMeasurements)
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
