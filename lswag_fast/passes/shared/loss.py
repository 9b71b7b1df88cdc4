"""One loss per sample, from whatever the model returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.errors import InputError
from lswag_fast.options import LossFunction, Reduction


@dataclass(frozen=True)
class Loss:
    """`total`, the sum of the losses of the samples: a scalar, so that every sample's gradient enters unscaled.

    What is wrong with the values is found on their device and read by `checked`, after the backward, so that a pass on
    a GPU is not held up in its middle.
    """

    total: Tensor
    n_nonfinite: Tensor
    labels: LabelRange | None

    def checked(self) -> int:
        """The number of losses that are NaN or infinite; raises InputError for a label outside of the classes."""
        if self.labels is not None:
            self.labels.check()
        return int(self.n_nonfinite)


@dataclass(frozen=True)
class LabelRange:
    """The least and the largest class index of a batch, on its device."""

    extremes: Tensor
    n_classes: int

    def check(self) -> None:
        """Raise InputError for a label outside of the classes."""
        low, high = self.extremes.tolist()
        if low < 0 or high >= self.n_classes:
            last = self.n_classes - 1
            raise InputError(f"labels run from {low} to {high}, but the model has {self.n_classes} classes (0..{last})")


def total_loss(
    outputs: Any, targets: Any, n_samples: int, loss_fn: LossFunction | None, reduction: Reduction | None
) -> Loss:
    """The summed loss, to be checked when the pass is over.

    `loss_fn(outputs, targets)` returns (B,), one loss per sample, or, when `reduction` says which it is, their sum or
    mean; the mean is multiplied by B, since it would scale every per-sample gradient by 1/B. Default: cross-entropy.
    Raises InputError for another shape.
    """
    labels = None
    if loss_fn is None:
        losses, labels = cross_entropy(outputs, targets)
    else:
        losses = loss_fn(outputs, targets)
    if not isinstance(losses, Tensor):
        raise InputError(f"loss_fn must return a tensor, got {type(losses).__name__}")
    if losses.dim() == 0:
        total = _unreduced(losses, n_samples, reduction)
    elif losses.shape == (n_samples,) and reduction is None:
        total = losses.sum()
    else:
        said = "" if reduction is None else f" although loss_reduction={reduction!r} announces a scalar"
        raise InputError(f"loss_fn returned shape {tuple(losses.shape)}{said}; one loss per sample is ({n_samples},)")
    return Loss(total, (~torch.isfinite(losses.detach())).sum(), labels)


def _unreduced(loss: Tensor, n_samples: int, reduction: Reduction | None) -> Tensor:
    if reduction is None:
        raise InputError(
            "loss_fn returned a scalar; return one loss per sample (reduction='none'), or say loss_reduction='sum' or "
            "'mean' (a mean scales every gradient by 1/B, which is undone)"
        )
    return loss * n_samples if reduction == "mean" else loss


def cross_entropy(outputs: Any, targets: Any) -> tuple[Tensor, LabelRange | None]:
    """Cross-entropy per sample (B,), and the range of the class indices, which is still to be checked.

    The positions of a dense prediction (B, C, ...) are summed. `targets` are class indices (B, ...) or class
    probabilities (B, C, ...). Raises InputError when the output holds no logits or the shapes do not fit.
    """
    logits = _logits(outputs)
    if not isinstance(targets, Tensor):
        raise InputError(f"the default loss needs a tensor of targets, got {type(targets).__name__}; pass loss_fn")
    fitting = tuple(logits.shape) if targets.is_floating_point() else (logits.shape[0], *logits.shape[2:])
    if targets.shape != fitting:
        raise InputError(
            f"targets of shape {tuple(targets.shape)}, {targets.dtype} do not fit logits of shape "
            f"{tuple(logits.shape)}, which want {fitting}; pass loss_fn"
        )
    if targets.numel() == 0:
        raise InputError(f"the targets of shape {tuple(targets.shape)} have no elements")
    labels = None
    if not targets.is_floating_point():
        n_classes = logits.shape[1]
        labels = LabelRange(torch.stack(torch.aminmax(targets)), n_classes)
        # An index out of range would end a process with a GPU before it could be told.
        targets = targets.long().clamp(0, n_classes - 1)
    losses = F.cross_entropy(logits, targets, reduction="none")
    return losses.flatten(1).sum(1) if losses.dim() > 1 else losses, labels


def find_logits(outputs: Any) -> Tensor | None:
    """The logits among what a model returned: the tensor itself, or its item or attribute `logits`."""
    if isinstance(outputs, Tensor):
        return outputs
    found = outputs.get("logits") if isinstance(outputs, Mapping) else getattr(outputs, "logits", None)
    return found if isinstance(found, Tensor) else None


def _logits(outputs: Any) -> Tensor:
    logits = find_logits(outputs)
    if logits is None:
        raise InputError(
            f"the model returned {type(outputs).__name__} without `logits`; pass loss_fn(outputs, targets)"
        )
    if logits.dim() < 2:  # (B, C, ...)
        raise InputError(
            f"the default loss needs logits (B, C), the model returned {tuple(logits.shape)}; pass loss_fn"
        )
    return logits
