"""Every measured method by name: the plain pass, the score, and the peers."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from bench.peers import PEERS, Run

SAMPLED_ROWS = 0.125  # the row fraction that is measured beside the exact score
NEEDS = {"opacus": "opacus", "backpack": "backpack"}


def plain(model: nn.Module, images: Tensor, labels: Tensor) -> Run:
    """One forward and backward pass as training does it: cross-entropy, gradients of all parameters."""

    def run() -> float:
        model.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        return loss.item()

    return run


def score(model: nn.Module, images: Tensor, labels: Tensor, row_fraction: float) -> Run:
    """`lswag_fast.score`; the result is the sum of the trainabilities, which the peers compute too."""
    import lswag_fast

    def run() -> float:
        result = lswag_fast.score(model, (images, labels), row_fraction=row_fraction)
        return sum(layer.trainability for layer in result.layers)

    return run


METHODS: dict[str, Callable[[nn.Module, Tensor, Tensor], Run]] = {
    "plain": plain,
    "score": partial(score, row_fraction=1.0),
    f"score_rows_{SAMPLED_ROWS}": partial(score, row_fraction=SAMPLED_ROWS),
    **PEERS,
}


def missing_package(method: str) -> str | None:
    """The package that `method` needs and that is not installed."""
    package = NEEDS.get(method)
    return package if package and importlib.util.find_spec(package) is None else None
