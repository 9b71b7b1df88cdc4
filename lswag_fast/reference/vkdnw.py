"""VKDNW on a float64 copy of the model in eval mode, by one backward for each sample and class."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lswag_fast.reference.models import as_float64, call_model


def fisher_information(model: nn.Module, inputs: Any, names: Sequence[str]) -> Tensor:
    """The mean over the samples of J^T (diag(p) - p p^T) J in the first elements of the named parameters.

    Example:
        >>> model = nn.Linear(1, 2, bias=False)
        >>> with torch.no_grad():
        ...     _ = model.weight.zero_()
        >>> round(fisher_information(model, torch.tensor([[2.0]]), ["weight"]).item(), 6)  # 2 * 2 (1/2 - 1/4)
        1.0
    """
    model = copy.deepcopy(model).double().eval()
    parameters = dict(model.named_parameters())
    weights = [parameters[name] for name in names]
    logits = call_model(model, as_float64(inputs))
    total = torch.zeros(len(names), len(names), dtype=torch.float64)
    for row in logits:
        jacobian = torch.stack([_first_elements(logit, weights) for logit in row])
        p = 0.95 * row.detach().softmax(0) + 0.05 / len(row)
        total += jacobian.t() @ (torch.diag(p) - torch.outer(p, p)) @ jacobian
    return total / len(logits)


def _first_elements(logit: Tensor, weights: Sequence[Tensor]) -> Tensor:
    gradients = torch.autograd.grad(logit, weights, retain_graph=True, allow_unused=True)
    return torch.stack([logit.new_zeros(()) if g is None else g.flatten()[0] for g in gradients])


def vkdnw(information: Tensor) -> float:
    """The entropy of the deciles of the singular values.

    Example:
        >>> round(vkdnw(torch.eye(4)), 6)  # ln 9
        2.197225
    """
    values = np.linalg.svd(information.double().numpy(), compute_uv=False)
    deciles = np.quantile(values, [k / 10 for k in range(1, 10)])
    q = deciles / (deciles.sum() + 1e-10)
    return -math.fsum(share * math.log(share + 1e-10) for share in q)
