"""Proxies of the Jacobian of the logits in the inputs: jacov and EPE-NAS. No loss, higher is better.

Row b is the gradient of the sum of the logits in sample b. Both look at the correlations of rows, which neither the
scale of the logits nor the order of the pixels changes. On a vision transformer the inputs are the pixels, as on a CNN.
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


def jacov(numbers: Measurements) -> float:
    """-sum_i [ln(v_i + k) + 1/(v_i + k)], v the eigenvalues of the rows' correlations, k = 1e-5 (Mellor, Turner,
    Storkey, Crowley, "Neural Architecture Search without Training", arXiv 2006.04647v1).

    Range: at most -B, where all rows are uncorrelated; about 1e5 less for each eigenvalue 0, such as two equal rows.
    Deviation: eigenvalues of a symmetric matrix, which are real; the published solver may return complex ones by
    rounding. Raises ZeroVarianceError for a row without variance.
    """
    eigenvalues = torch.linalg.eigvalsh(torch.corrcoef(_rows(numbers.of(JacobianMeasurements), "jacov"))) + _K
    return -float((eigenvalues.log() + 1 / eigenvalues).sum())


def epe_nas(numbers: Measurements) -> float:
    """Correlations within classes (Lopes, Alirezazadeh, Alexandre, "EPE-NAS", ICANN 2021): with s_c the sum of
    ln(|r| + 1e-5) over all pairs r of rows of class c, sum_c |s_c| for up to 100 classes. For more, s_c is divided by
    the samples of its class, and the score is sum_{c, c'} |s_c - s_c'| / (number of classes), over ordered pairs.

    Range [0, inf), at most about 11.5 a pair; grows with the samples of a class. The number of classes is that of the
    logits, as published. Above 100 a class of a single sample does not count, as published.
    Raises InputError when the batch has one class only, or no class with two samples (published: a score that does not
    depend on the network), ZeroVarianceError for a row without variance.
    """
    found = numbers.of(JacobianMeasurements)
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


def _rows(numbers: JacobianMeasurements, proxy: str) -> Tensor:
    """The Jacobian (B, D), every row finite and with variance."""
    rows = numbers.jacobian
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


def _checked_classes(numbers: JacobianMeasurements) -> Tensor:
    classes = numbers.classes
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
