"""jacov and EPE-NAS from the Jacobian of a float64 copy of the model, with NumPy."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
from torch import Tensor, nn

from lswag_fast.reference.models import as_float64, call_model


def input_jacobian(model: nn.Module, inputs: Any) -> Tensor:
    """d(sum of all logits) / d(inputs), (B, D) float64, for `inputs` of one tensor (B, ...).

    Example:
        >>> import torch
        >>> input_jacobian(nn.Linear(3, 2), torch.zeros(4, 3)).shape
        torch.Size([4, 3])
    """
    x = as_float64(inputs).detach().clone().requires_grad_()
    outputs = call_model(copy.deepcopy(model).double(), x)
    getattr(outputs, "logits", outputs).sum().backward()
    return x.grad.flatten(1)  # type: ignore[no-any-return]


def jacov(rows: Tensor) -> float:
    """-sum_i [ln(v_i + k) + 1/(v_i + k)], v the eigenvalues of the correlations of the rows, k = 1e-5.

    Example:
        >>> import torch
        >>> round(jacov(torch.tensor([[1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]])), 4)  # two eigenvalues 1
        -2.0
    """
    v: list[float] = np.linalg.eigvals(np.corrcoef(rows.double().numpy())).real.tolist()
    return -math.fsum(math.log(value + 1e-5) + 1 / (value + 1e-5) for value in v)


def epe_nas(rows: Tensor, classes: Tensor, n_classes: int) -> float:
    """With s_c = sum over the pairs of rows of class c of ln(|r| + 1e-5): sum_c |s_c| for n_classes <= 100; above, with
    s_c over the number of rows, sum_{c, c'} |s_c - s_c'| / number of classes, without classes of one row.

    Example:
        >>> import torch
        >>> rows = torch.tensor([[1.0, -1.0], [1.0, -1.0]])
        >>> round(epe_nas(rows, torch.tensor([0, 1]), n_classes=2), 8)  # 2 ln(1 + 1e-5)
        2e-05
    """
    s = []
    for c in sorted(set(classes.tolist())):
        r = np.atleast_2d(np.corrcoef(rows[classes == c].double().numpy()))
        if n_classes <= 100:
            s.append(np.log(np.abs(r) + 1e-5).sum())
        elif len(r) > 1:
            s.append(np.log(np.abs(r) + 1e-5).sum() / len(r))
    if n_classes <= 100:
        return float(sum(abs(s_c) for s_c in s))
    return float(sum(abs(a - b) for a in s for b in s) / len(s))
