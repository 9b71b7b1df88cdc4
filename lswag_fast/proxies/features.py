"""Proxies of the features of one forward pass: InTrain, MeCo, attention-head confidence, W-PCA, NEAR, Dextr.

The features are those of observed calls, functional or of a module, on vision transformers as on CNNs. Higher is
better.

Example:
    >>> import torch, lswag_fast
    >>> conv, head = torch.nn.Conv2d(3, 8, 3), torch.nn.Linear(288, 3)
    >>> model = torch.nn.Sequential(conv, torch.nn.ReLU(), torch.nn.Flatten(), head)
    >>> batch = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])
    >>> scores = lswag_fast.score_many(model, batch, proxies=["intrain", "meco"])
    >>> scores.passes
    ('standard', 'features')
    >>> scores["intrain"].value > 0, scores["meco"].value >= 0
    (True, True)
"""

from __future__ import annotations

import math

from lswag_fast.errors import NoActivationsError, NothingObservedError
from lswag_fast.passes.curvature import CurvatureMeasurements
from lswag_fast.passes.features import FeatureMeasurements
from lswag_fast.passes.model import ModelMeasurements
from lswag_fast.passes.standard.measurements import LayerMeasurements, StandardMeasurements
from lswag_fast.proxies.registry import Measurements, register_proxy


def intrain(measurements: Measurements) -> float:
    """gamma (1 + o) / ln(L + 1), gamma = sum_l ln((Tr C_l)^2 / Tr C_l^2), o = sum_w std(g_w) / max|g_w|.

    C_l is the covariance of the channels of activation l = 1..L over all samples and positions, so that gamma adds up
    the logarithms of the numbers of directions that they spread over. g_w is the gradient of the batch in the weight w,
    std that of its elements; the scale of the loss cancels.

    Departures from the paper: the weights of observed calls count; a weight whose gradient is 0 adds nothing; std is
    that of the elements themselves, which never exceeds the largest, so that the published bound of 1 is not needed.

    Returns:
        A number in [0, inf); it grows with depth and width.

    Raises:
        NoActivationsError: no activation was seen.
        NothingObservedError: no weight could be observed.
        NonFiniteGradientError: a loss or a gradient is NaN or infinite.
    """
    log_dimensions = measurements.of(FeatureMeasurements)["log_dimensions"]
    if not log_dimensions:
        raise NoActivationsError("intrain: no activation was seen, so there is no covariance of its channels")
    evenness = math.fsum(_evenness(layer) for layer in measurements.of(StandardMeasurements).layers())
    return math.fsum(log_dimensions) * (1 + evenness) / math.log(len(log_dimensions) + 1)


def _evenness(layer: LayerMeasurements) -> float:
    """std / max of the magnitudes of the elements of a weight's batch gradient."""
    largest = layer["max_abs_batch_gradient"]
    if largest == 0:
        return 0.0
    mean = layer["sum_batch_gradient"] / layer.n_weights
    return math.sqrt(max(0.0, layer["sum_squared_batch_gradient"] / layer.n_weights - mean**2)) / largest


def meco(measurements: Measurements) -> float:
    """sum_l lambda_min(P_l), P_l the correlations between the channels of feature l of one sample.

    Correlations are Pearson's, over the positions of the first sample. Features are the outputs of calls on weights,
    norms and activations. Where a channel is constant, or a feature has no more positions than channels, lambda_min is
    0: the last stages of a CNN on small images add nothing. On a vision transformer the channels are the features of a
    token and the positions the tokens, of which there are often fewer than features: the score is then 0 for all.

    Departures from the published code: there every module counts, containers and those that hand on their input too,
    and a token is taken for a channel; the sample goes through alone, where here a BatchNorm in train mode normalises
    by the batch.

    Returns:
        A number in [0, L], L the number of features.

    Raises:
        NothingObservedError: there is no feature.
        InputError: a feature in which the part of the first sample is not found.
        NonFiniteGradientError, UnsupportedModelError: a feature is NaN or infinite, or complex.
    """
    return math.fsum(_some("meco", measurements.of(FeatureMeasurements)["least_correlations"]))


def meco_opt(measurements: Measurements) -> float:
    """sum_l (C_l / 8) lambda_min of the correlations between 8 channels of feature l, drawn at random.

    As `meco`, at a fraction of its price where features are wide, and with a value for features that have fewer
    positions than channels, as on a vision transformer; all channels count where there are fewer than 8. The channels
    are drawn from the seed: average over seeds for less chance.

    Returns:
        A number in [0, sum_l C_l / 8].

    Raises:
        NothingObservedError, InputError: as `meco`.
    """
    return math.fsum(_some("meco_opt", measurements.of(FeatureMeasurements)["sampled_correlations"]))


def head_confidence(measurements: Measurements) -> float:
    """mean_l mean_{h, b, t} max_s a_s, a the probabilities with which query t of head h of attention l attends to keys.

    Attention is a softmax over the last axis of scores (..., T, S), `scaled_dot_product_attention`, or torch's own
    multi-head attention; probabilities are those before dropout, but for a dropout of the model's own. Defined for
    transformers only.

    Departure from the published code: the largest is that over the keys, there over the heads.

    Returns:
        A number in (0, 1]; near 1 / S where attention is even, as at most initialisations.

    Raises:
        NothingObservedError: there is no attention.
    """
    confidences = measurements.of(FeatureMeasurements)["head_confidences"]
    if not confidences:
        raise NothingObservedError(
            "head_confidence needs the probabilities of attention, and no softmax over keys was seen; score a network "
            "without attention by another proxy"
        )
    return math.fsum(confidences) / len(confidences)


def w_pca(measurements: Measurements) -> float:
    """P sum_l d_l, P the number of parameters, d_l the principal components of a feed-forward layer's hidden features.

    d_l is the least number of components that explain more than .99 of the variance of x W1 + b1, over all samples and
    positions: of the output of a linear call that an activation takes. Of a gated layer it is the gate, also where one
    call makes gate and value. Published for language models; a vision transformer has the same layers. In a CNN a
    linear layer before an activation is rare, and convolutions do not count.

    Returns:
        A whole number in [0, P sum_l C_l].

    Raises:
        NothingObservedError: no activation takes the output of a linear call.
    """
    components = measurements.of(FeatureMeasurements)["principal_components"]
    if not components:
        raise NothingObservedError(
            "w_pca needs feed-forward layers, and no activation was seen to take the output of a linear call as it is; "
            "score a network of convolutions, or one whose activations are written out, by another proxy"
        )
    return measurements.of(ModelMeasurements).n_params * math.fsum(components)


def near(measurements: Measurements) -> float:
    """sum_l exp(H(s_l)), H the entropy of the singular values, over their sum, of a square matrix of a layer's outputs.

    The sum runs over the outputs of linear and convolution calls and over those of activations. A row is what the C
    channels give at one position of one sample, and the matrix has C rows. exp(H) is its effective rank.

    Departures from the published code: the rows are drawn from all samples and positions of the batch, from the seed,
    there they are neighbours; where there are fewer than C all count, there further batches are added; outputs of norms
    do not count, as in the paper; the weights are drawn once. From 512 channels on, the singular values come from the
    eigenvalues of the products where that changes the rank by no more than about 1e-6. Their price, for a C x C matrix
    of each feature, exceeds that of the forward by far on wide vision transformers.

    Returns:
        A number in [0, sum_l C_l].

    Raises:
        NothingObservedError: there is no feature.
    """
    return math.fsum(_some("near", measurements.of(FeatureMeasurements)["effective_ranks"]))


def dextr(measurements: Measurements) -> float:
    """c k / (c + k), c = ln(1 + sum_l s_min(X_l) / s_max(X_l)) and k = ln(1 + kappa); 0 where both are 0.

    X_l holds the channels of feature l of one sample at its positions, s its singular values: their ratio, the inverse
    of the condition number, is 1 where the channels are orthogonal and of one size, and 0 where one is made of others.
    kappa is the curvature of the curve that the logits run through while the input runs along a unit circle in a random
    plane, the mean over eight points of sqrt(|v|^2 |a|^2 - (v . a)^2) / |v|^3. Labels do not count. The circle has a
    pass of its own, which the features share with no other.

    Departures from the published code: the features are those of observed calls on weights, norms and activations,
    there of every module, containers too; the sample goes through with its batch, there alone; eight points, there one;
    v and a are those of all logits, as in the paper, where one version of the code takes those of their sum, whose
    curvature is 0. Higher is better.

    Returns:
        A number in [0, inf).

    Raises:
        NothingObservedError: there is no feature.
        InputError: a feature in which the part of the first sample is not found, or inputs that are no real numbers,
            such as tokens, among which there is no circle.
        NonFiniteGradientError, UnsupportedModelError: a feature or a derivative is NaN or infinite; a feature is
            complex, or a function of the model cannot be differentiated twice.
    """
    ratios = _some("dextr", measurements.of(FeatureMeasurements)["singular_ratios"])
    evenness = math.log1p(math.fsum(ratios))
    bending = math.log1p(float(measurements.of(CurvatureMeasurements).curvatures.mean()))
    return evenness * bending / (evenness + bending) if evenness + bending > 0 else 0.0


def _some(proxy: str, numbers: tuple[float, ...]) -> tuple[float, ...]:
    if not numbers:
        raise NothingObservedError(f"{proxy}: the model calls no linear or convolution function, norm or activation")
    return numbers


_MECO = "Jiang, Wang, Bie, NeurIPS 2023"
register_proxy(
    "intrain",
    intrain,
    needs={"standard": ("gradients", "batch_gradient"), "features": ("log_dimensions",)},
    reference="InTrain, CVPR 2026",
    summary="spread of the channels of activations, and evenness of the batch gradient",
)
register_proxy(
    "meco",
    meco,
    needs={"features": ("least_correlations",)},
    reference=_MECO,
    summary="least eigenvalue of the correlations of a feature's channels, summed",
)
register_proxy(
    "meco_opt",
    meco_opt,
    needs={"features": ("sampled_correlations",)},
    reference=_MECO,
    summary="the same of eight channels of each feature",
)
register_proxy(
    "head_confidence",
    head_confidence,
    needs={"features": ("head_confidences",)},
    reference="Serianni, Kalita, ACL 2023",
    summary="largest probability of each query of attention, averaged",
)
register_proxy(
    "w_pca",
    w_pca,
    needs={"model": ("params",), "features": ("principal_components",)},
    reference="Wang, ICLR 2025",
    summary="parameters times the principal components of feed-forward layers",
)
register_proxy(
    "near",
    near,
    needs={"features": ("effective_ranks",)},
    reference="Husistein, Reiher, Eckhoff, ICLR 2025",
    summary="effective ranks of the outputs of layers and activations, summed",
)
register_proxy(
    "dextr",
    dextr,
    needs={"features": ("singular_ratios",), "curvature": ("curvatures",)},
    reference="Asthana, Conrad, Ortmanns, Belagiannis, TMLR 2025",
    summary="evenness of the singular values of features, and curvature of the outputs along a circle of inputs",
)
