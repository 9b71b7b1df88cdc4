"""Losses by name: (outputs, targets) -> one number per sample, the mean over all that a sample has."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import torch.nn.functional as F
from torch import Tensor

from lswag_fast.errors import InputError

SampleLoss = Callable[[Tensor, Tensor], Tensor]
CROSS_ENTROPY = "cross_entropy"
"""The name of the default loss of a score, which knows where the classes of an output lie."""


def mse(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean square error of each sample, (B,).

    Raises:
        InputError: the shapes do not fit; names both.

    Example:
        >>> import torch
        >>> mse(torch.zeros(2, 3), torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 3.0]]))
        tensor([1., 3.])
    """
    return _mean((outputs - _fitted("mse", outputs, targets)).square())


def l1(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean absolute error of each sample, (B,).

    Raises:
        InputError: the shapes do not fit; names both.

    Example:
        >>> import torch
        >>> l1(torch.zeros(2, 1, 2), torch.tensor([[1.0, -1.0], [0.0, 3.0]]))
        tensor([1.0000, 1.5000])
    """
    return _mean((outputs - _fitted("l1", outputs, targets)).abs())


def cosine(outputs: Tensor, targets: Tensor) -> Tensor:
    """One minus the cosine of the angle between the vectors (B, C, ...) of each position, its mean per sample (B,).

    Raises:
        InputError: the shapes do not fit; names both.

    Example:
        >>> import torch
        >>> cosine(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, 2.0]]))
        tensor([0., 1.])
    """
    return _mean(1 - F.cosine_similarity(outputs, _fitted("cosine", outputs, targets), dim=1))


def binary_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean over the labels of the cross-entropy of each sample, (B,), from logits.

    Raises:
        InputError: the shapes do not fit, or a target lies outside of [0, 1].

    Example:
        >>> import torch
        >>> binary_cross_entropy(torch.zeros(1, 2), torch.tensor([[1, 0]])).item() == torch.tensor(2.0).log().item()
        True
    """
    fitted = _fitted("binary_cross_entropy", outputs, targets)
    low, high = fitted.aminmax()
    if low < 0 or high > 1:
        raise InputError(
            f"targets run from {low:.3g} to {high:.3g}; the loss 'binary_cross_entropy' wants 0 and 1, or shares "
            "between them"
        )
    return _mean(F.binary_cross_entropy_with_logits(outputs, fitted, reduction="none"))


LOSSES: dict[str, SampleLoss] = {
    "mse": mse,
    "l1": l1,
    "cosine": cosine,
    "binary_cross_entropy": binary_cross_entropy,
}
"""The losses that `loss_fn` and `--loss` take by name, beside "cross_entropy", the default."""


def _fitted(loss: str, outputs: Tensor, targets: object) -> Tensor:
    """The targets in the shape and type of the outputs; axes of length 1 may be missing."""
    if not isinstance(targets, Tensor):
        raise InputError(f"targets: the loss {loss!r} wants a tensor, got {type(targets).__name__}")
    if _plain(targets) != _plain(outputs) or not prod(targets.shape):
        raise InputError(
            f"targets of shape {tuple(targets.shape)} do not fit outputs of shape {tuple(outputs.shape)}: the loss "
            f"{loss!r} wants one number for each output"
        )
    return targets.to(outputs.dtype).reshape(outputs.shape)


def _plain(tensor: Tensor) -> list[int]:
    return [*tensor.shape[:1], *(length for length in tensor.shape[1:] if length != 1)]


def _mean(losses: Tensor) -> Tensor:
    return losses.reshape(len(losses), -1).mean(1)
