"""The NTK of a float64 copy of the model by one backward pass per sample, and the linear regions of a batch."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lswag_fast.reference.models import as_float64, call_model


def ntk(model: nn.Module, inputs: Any, names: Iterable[str], dtype: torch.dtype = torch.float64) -> Tensor:
    """Theta[a, b] = <G_a, G_b>, (B, B) float64, G_b the gradient of the sum of sample b's logits in the named weights.

    `inputs` is one tensor (B, ...). The samples go through together, so that BatchNorm in train mode couples them.

    Example:
        >>> ntk(nn.Linear(2, 1), torch.tensor([[1.0, 0.0], [1.0, 2.0]]), ["weight"]).tolist()
        [[1.0, 1.0], [1.0, 5.0]]
    """
    model = copy.deepcopy(model).to(dtype)
    outputs = call_model(model, as_float64(inputs).to(dtype))
    logits = getattr(outputs, "logits", outputs)
    weights = [p for name, p in model.named_parameters() if name in set(names)]
    rows = []
    for b in range(len(logits)):
        gradients = torch.autograd.grad(logits[b].sum(), weights, retain_graph=True)
        rows.append(torch.cat([g.flatten() for g in gradients]).double())
    return torch.stack(rows) @ torch.stack(rows).t()


def te_nas_ntk(kernel: Tensor) -> float:
    """lambda_max / lambda_min.

    Example:
        >>> te_nas_ntk(torch.tensor([[2.0, 0.0], [0.0, 8.0]]))
        4.0
    """
    eigenvalues = torch.linalg.eigvalsh(kernel)
    return float(eigenvalues.max() / eigenvalues.min())


def te_nas_regions(activations: Sequence[Tensor]) -> int:
    """Distinct rows of the samples' signs over all activations, each (B, ...).

    Example:
        >>> te_nas_regions([torch.tensor([[1.0, -1.0], [2.0, -3.0], [1.0, 1.0]])])
        2
    """
    return len({tuple(row) for row in torch.cat([(a > 0).flatten(1) for a in activations], 1).tolist()})
