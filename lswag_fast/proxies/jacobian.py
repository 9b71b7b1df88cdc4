"""Proxies of the Jacobian of the logits in the inputs: jacov and EPE-NAS. They need no loss; higher is better.

Row b is the gradient of the sum of the logits in sample b. Both look at the correlations of rows, which neither the
scale of the logits nor the order of the pixels changes. On a vision transformer the inputs are the pixels, as on a CNN.

Example:
    >>> import torch, lswag_fast
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
    >>> batch = torch.randn(4, 8), torch.tensor([0, 1, 2, 0])
    >>> scores = lswag_fast.score_many(model, batch, proxies=["jacov", "epe_nas"])
    >>> scores.passes
    ('jacobian',)
    >>> scores["jacov"].value <= -4  # -B is the most that it can be
    True
"""

from __future__ import annotations

import torch
from torch import Tensor

from lswag_fast.errors import InputError, NonFiniteGradientError, ZeroVarianceError
from lswag_fast.passes.jacobian import JacobianMeasurements
from lswag_fast.proxies.registry import Measurements, register_proxy

_K = 1e-5
"""The published constant that keeps logarithms and reciprocals finite."""

_MANY_CLASSES = 100
"""Above so many classes EPE-NAS compares the classes with each other."""


def jacov(measurements: Measurements) -> float:
    """-sum_i [ln(v_i + k) + 1/(v_i + k)], v the eigenvalues of the correlations of the rows, k = 1e-5.

    Mellor, Turner, Storkey, Crowley, "Neural Architecture Search without Training", arXiv 2006.04647v1. Departure from
    the published code: the eigenvalues are those of a symmetric matrix, which are real; its solver may return complex
    ones by rounding.

    Returns:
        At most -B, where all rows are uncorrelated; about 1e5 less for each eigenvalue of 0, such as for two equal
        rows.

    Raises:
        ZeroVarianceError: a row has no variance.
        NonFiniteGradientError: the Jacobian holds NaN or infinite values.
    """
    eigenvalues = torch.linalg.eigvalsh(torch.corrcoef(_rows(measurements.of(JacobianMeasurements), "jacov"))) + _K
    return -float((eigenvalues.log() + 1 / eigenvalues).sum())


def epe_nas(measurements: Measurements) -> float:
    """Correlations within classes (Lopes, Alirezazadeh, Alexandre, "EPE-NAS", ICANN 2021).

    With s_c the sum of ln(|r| + 1e-5) over the correlations r of all pairs of rows of class c, the score is sum_c |s_c|
    for up to 100 classes. For more, s_c is divided by the number of samples of its class, and the score is sum_{c, c'}
    |s_c - s_c'| / (number of classes), over ordered pairs; a class of a single sample then does not count, as
    published. The number of classes is that of the logits, as published.

    Returns:
        A number in [0, inf), at most about 11.5 per pair; it grows with the samples per class.

    Raises:
        InputError: the targets name no classes, the batch has only one class, or no class with two samples (published:
            a score that does not depend on the network).
        ZeroVarianceError: a row has no variance.
        NonFiniteGradientError: the Jacobian holds NaN or infinite values.
    """
    found = measurements.of(JacobianMeasurements)
    rows, classes = _rows(found, "epe_nas"), _checked_classes(found)
    many = found.n_classes > _MANY_CLASSES
    sums = []
    for label in sorted(set(classes.tolist())):
        own = rows[classes == label]
        if many and len(own) == 1:
            continue
        total = (torch.corrcoef(own).abs() + _K).log().sum()
        sums.append(total / len(own) if many else total)
    s = torch.stack(sums)
    return float((s[:, None] - s).abs().sum() / len(s)) if many else float(s.abs().sum())


def _rows(measurements: JacobianMeasurements, proxy: str) -> Tensor:
    """The Jacobian (B, D), every row finite and with variance."""
    rows = measurements.jacobian
    broken = int((~torch.isfinite(rows)).any(1).sum())
    if broken:
        raise NonFiniteGradientError(f"{proxy}: the Jacobian of {broken} sample(s) holds NaN or infinite values")
    constant = int((rows == rows[:, :1]).all(1).sum())
    if constant:
        raise ZeroVarianceError(
            f"{proxy} correlates the rows of the Jacobian, but {constant} of {len(rows)} are constant, which have no "
            "correlation; do the logits depend on those samples, on more than one element of each?"
        )
    return rows


def _checked_classes(measurements: JacobianMeasurements) -> Tensor:
    classes = measurements.classes
    if classes is None:
        raise InputError(
            "epe_nas needs the class of each sample: targets of indices (B,), or probabilities or one-hot rows (B, C)"
        )
    n_present = len(set(classes.tolist()))
    if n_present == 1:
        raise InputError("epe_nas needs samples of two classes or more; all samples of the batch are of one class")
    if n_present == len(classes):
        raise InputError("epe_nas needs two samples of a class; every sample of the batch has a class of its own")
    return classes


register_proxy(
    "jacov",
    jacov,
    needs={"jacobian": ("jacobian",)},
    reference="Mellor, Turner, Storkey, Crowley, arXiv 2006.04647v1",
    summary="how little the samples' input gradients correlate",
)
register_proxy(
    "epe_nas",
    epe_nas,
    needs={"jacobian": ("jacobian", "classes")},
    reference="Lopes, Alirezazadeh, Alexandre, ICANN 2021",
    summary="correlations of input gradients within each class",
)
