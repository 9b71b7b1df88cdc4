"""ZiCo, SWAP and NWOT by the steps of their published scripts, written anew from a description of these.

What is timed is their way to the number: gradients kept for each batch and turned over in numpy, `torch.unique` on the
signs as floats, the agreements by two products of matrices. They are applied to every weight and activation that the
observer of `lswag_fast` sees too, where the scripts' hooks see modules of some types only (SWAP's and NWOT's none of a
vision transformer), so that both compute the same number.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.score.peers import ActivationOutputs, Run, watched_weights


def two_batches(images: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    """As many batches as ZiCo's script takes, each of the measured size: the second has the mirrored images."""
    return [(images, labels), (images.flip(-1), labels)]


def zico(model: nn.Module, images: Tensor, labels: Tensor) -> Run:
    """sum_l ln sum_w mean|g| / std(g) over two batches, each the gradient of its mean loss, all of them kept."""
    weights = watched_weights(model)
    batches = two_batches(images, labels)

    def run() -> float:
        kept: dict[str, list[np.ndarray]] = {name: [] for name in weights}
        for inputs, targets in batches:
            model.zero_grad(set_to_none=True)
            F.cross_entropy(model(inputs), targets).backward()
            for name, weight in weights.items():
                assert weight.grad is not None
                kept[name].append(weight.grad.detach().flatten().numpy())
        total = 0.0
        for gradients in kept.values():
            stacked = np.stack(gradients)
            deviation, mean = stacked.std(axis=0), np.abs(stacked).mean(axis=0)
            varies = deviation != 0
            total += math.log(float(np.sum(mean[varies] / deviation[varies])))
        return total

    return run


def swap(model: nn.Module, images: Tensor, labels: Tensor) -> Run:
    """The different patterns of all activations in one set: a forward, and `torch.unique` on the signs as floats."""

    def run() -> float:
        with torch.no_grad(), ActivationOutputs() as seen:
            model(images)
            signs = torch.cat([(output.flatten(1) > 0).float() for output in seen.outputs], dim=1)
            return float(len(torch.unique(signs.T, dim=0)))

    return run


def nwot(model: nn.Module, images: Tensor, labels: Tensor) -> Run:
    """ln |det K|: a forward, and for each activation the two products of its signs as floats, added up in numpy."""

    def run() -> float:
        kernel = np.zeros((len(images), len(images)))
        with torch.no_grad(), ActivationOutputs() as seen:
            model(images)
            for output in seen.outputs:
                signs = (output.flatten(1) > 0).to(images.dtype)
                kernel += (signs @ signs.T).numpy() + ((1 - signs) @ (1 - signs).T).numpy()
        return float(np.linalg.slogdet(kernel).logabsdet)

    return run


PUBLISHED: dict[str, Callable[[nn.Module, Tensor, Tensor], Run]] = {
    "published_zico": zico,
    "published_swap": swap,
    "published_nwot": nwot,
}
