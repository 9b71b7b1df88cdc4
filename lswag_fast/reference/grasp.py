"""GraSP on a float64 copy of the model, the Hessian-gradient product in forward mode."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lswag_fast.reference.models import as_float64, call_model


def grasp_terms(
    model: nn.Module,
    batch: tuple[Any, Any],
    names: Iterable[str],
    loss: Callable[[Any, Any], Tensor] = F.cross_entropy,
) -> dict[str, Tensor]:
    """{name: -W * Hg} of the mean loss; Hg is the derivative of the gradient in the direction g.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> with torch.no_grad():
        ...     _ = model.weight.fill_(3.0)
        >>> batch = torch.ones(2, 1), torch.zeros(2, 1)
        >>> squares = lambda outputs, targets: outputs.square().mean()
        >>> grasp_terms(model, batch, ["weight"], squares)["weight"].tolist()  # g = 2 w = 6, H = 2
        [[-36.0]]
    """
    model = copy.deepcopy(model).double()
    if model.training:  # running statistics take no part, and torch.func does not let them be written
        torch.func.replace_all_batch_norm_modules_(model)
    inputs, targets = map(as_float64, batch)
    weights = {name: p.detach() for name, p in model.named_parameters() if name in set(names)}
    model.requires_grad_(False)

    def mean_loss(substitutes: dict[str, Tensor]) -> Tensor:
        wrapped = _Called(model)
        outputs = torch.func.functional_call(wrapped, {f"model.{n}": w for n, w in substitutes.items()}, (inputs,))
        return loss(outputs, targets)

    with sdpa_kernel(SDPBackend.MATH):  # the others have no forward mode
        gradient = torch.func.grad(mean_loss)
        g = gradient(weights)
        hg = torch.func.jvp(gradient, (weights,), (g,))[1]
    return {name: -weight * hg[name] for name, weight in weights.items()}


def grasp(terms: dict[str, Tensor]) -> float:
    """sum -(W * Hg).

    Example:
        >>> grasp({"weight": torch.tensor([[-36.0, 6.0]])})
        -30.0
    """
    return float(sum(term.sum() for term in terms.values()))


class _Called(nn.Module):
    """A model that is called the way its inputs ask for."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Any) -> Any:
        return call_model(self.model, inputs)
