"""Targets of the default loss: class indices or class probabilities, and which axis of the logits holds the classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from lswag_fast.errors import InputError
from lswag_fast.options import ClassAxis
from lswag_fast.passes.shared.checks import listed_samples

SUM_TOLERANCE = 1e-2
"""How far the probabilities of a target may be from 1 in sum: they come in bfloat16, too, which keeps 8 bits."""

_OTHER_TASKS = "for numbers say task='regression', for labels of which several hold task='multi_label'"


class TargetCheck(Protocol):
    """What is found on the device of the targets and read when a pass is over, so that a GPU is not held up."""

    def check(self, first: int = 0) -> None:
        """Raise InputError for targets that the loss cannot take; `first` is the place of their first in the batch."""


@dataclass(frozen=True)
class FittedTargets:
    """Logits and targets as torch's cross-entropy takes them.

    Attributes:
        logits: (B, C, ...).
        targets: class indices (B, ...), each a valid one, or class probabilities (B, C, ...).
        ignored: (B, ...), the positions that do not count; None for none.
        check: what is still to be read of the targets.
    """

    logits: Tensor
    targets: Tensor
    ignored: Tensor | None
    check: TargetCheck


@dataclass(frozen=True)
class LabelRange:
    """The least and the largest class index of a batch, on their device.

    Attributes:
        extremes: both.
        n_classes: how many classes the model tells.
        ignore_index: the label of what does not count, where there is one.
        uncounted: (B,) whether none of a sample's labels counts; None without an `ignore_index`.
    """

    extremes: Tensor
    n_classes: int
    ignore_index: int | None = None
    uncounted: Tensor | None = None

    def check(self, first: int = 0) -> None:
        """Raise InputError for a label outside of the classes, or a sample whose gradients would all be 0."""
        low, high = self.extremes.tolist()
        if low < 0 or high >= self.n_classes:
            last, outside = self.n_classes - 1, low if low < 0 else high
            raise InputError(
                f"labels run from {low} to {high}, but the model has {self.n_classes} classes (0..{last}); build it "
                f"for the labels' classes or, where {outside} marks what is not to count, pass ignore_index={outside}"
            )
        if self.uncounted is None:
            return
        empty = (self.uncounted.nonzero().flatten() + first).tolist()
        if empty:
            raise InputError(
                f"no label counts in {listed_samples(empty)} of the batch: all labels are "
                f"ignore_index={self.ignore_index}; leave such samples out"
            )


@dataclass(frozen=True)
class ProbabilityRange:
    """The least probability and the least and largest sum over the classes, on their device."""

    extremes: Tensor
    shape: torch.Size

    def check(self, first: int = 0) -> None:
        """Raise InputError for what are no probabilities of classes."""
        least, low, high = self.extremes.tolist()
        if least < 0 or low < 1 - SUM_TOLERANCE or high > 1 + SUM_TOLERANCE:
            raise InputError(
                f"targets of shape {tuple(self.shape)}, that of the logits, are no class probabilities: the least is "
                f"{least:.3g} and their sums over the classes run from {low:.3g} to {high:.3g}; {_OTHER_TASKS}, or "
                "pass loss_fn"
            )


def fit_targets(
    logits: Tensor, targets: Tensor, class_axis: ClassAxis | None = None, ignore_index: int | None = None
) -> FittedTargets:
    """Find the axis of the classes and bring logits and targets into the form of torch's cross-entropy.

    Args:
        logits: (B, C, ...) or (B, ..., C).
        targets: indices (B, ...), or probabilities or one-hot vectors of the logits' shape.
        class_axis: 1 or -1 where the shapes allow both.
        ignore_index: the index that marks what does not count; the check refuses a sample of which nothing does.

    Raises:
        InputError: the shapes do not fit, or allow both axes; the logits have one class only.

    Example:
        >>> tokens = fit_targets(torch.zeros(2, 5, 3), torch.zeros(2, 5, dtype=torch.long))
        >>> tuple(tokens.logits.shape)
        (2, 3, 5)
    """
    if targets.numel() == 0:
        raise InputError(f"the targets of shape {tuple(targets.shape)} have no elements")
    if targets.shape == logits.shape:
        _refuse_one_class(logits, class_axis or 1)
        return _probabilities(logits, targets, class_axis, ignore_index)
    axis = _index_axis(logits, targets, class_axis)
    _refuse_one_class(logits, axis)
    if targets.is_floating_point():
        raise InputError(
            f"targets of shape {tuple(targets.shape)}, {targets.dtype} are not class labels: use integers "
            "(targets.long()); for a regression say task='regression'"
        )
    return _indices(logits.movedim(axis, 1), targets.long(), ignore_index)


def _index_axis(logits: Tensor, targets: Tensor, class_axis: ClassAxis | None) -> int:
    """The axis of the classes, for targets of class indices."""
    shape = logits.shape
    wanted = {1: (shape[0], *shape[2:]), -1: tuple(shape[:-1])}
    axes = [axis for axis in (1, -1) if class_axis in (None, axis) and targets.shape == wanted[axis]]
    if not axes:
        fitting = " or ".join(map(str, dict.fromkeys(wanted[axis] for axis in (1, -1) if class_axis in (None, axis))))
        raise InputError(
            f"targets of shape {tuple(targets.shape)}, {targets.dtype} do not fit logits of shape {tuple(shape)}, "
            f"which want indices {fitting} or probabilities {tuple(shape)}; pass loss_fn"
        )
    if len(axes) > 1 and logits.dim() > 2:  # (B, C) has one axis only
        raise _ambiguous(logits)
    return axes[0]


def _indices(logits: Tensor, targets: Tensor, ignore_index: int | None) -> FittedTargets:
    n_classes = logits.shape[1]
    ignored = None if ignore_index is None else targets == ignore_index
    if ignored is not None:
        targets = targets.masked_fill(ignored, 0)
    uncounted = None if ignored is None else ignored.reshape(len(ignored), -1).all(1)
    range_ = LabelRange(torch.stack(torch.aminmax(targets)), n_classes, ignore_index, uncounted)
    # An index out of range would end a process with a GPU before it could be told.
    return FittedTargets(logits, targets.clamp(0, n_classes - 1), ignored, range_)


def are_probabilities(targets: Tensor) -> bool:
    """Whether rows (B, C) are probabilities of classes: not negative, each with the sum 1.

    Example:
        >>> are_probabilities(torch.tensor([[0, 1], [1, 0]])), are_probabilities(torch.tensor([[1.5, -0.5]]))
        (True, False)
    """
    return bool((targets >= 0).all() and _sums(targets, 1).sub(1).abs().max() <= SUM_TOLERANCE)


def _probabilities(
    logits: Tensor, targets: Tensor, class_axis: ClassAxis | None, ignore_index: int | None
) -> FittedTargets:
    if ignore_index is not None:
        raise InputError("ignore_index marks class indices; the targets are probabilities, of the logits' shape")
    dtype = torch.promote_types(logits.dtype, targets.dtype)  # of integers and booleans that of the logits
    logits, targets = logits.to(dtype), targets.to(dtype)
    axis: int = 1 if class_axis is None else class_axis
    if class_axis is None and logits.dim() > 2:
        # The one place where a device is waited for in the middle of a pass: the loss depends on the axis.
        sums_to_one = [a for a in (1, -1) if bool(_sums(targets, a).sub(1).abs().max() <= SUM_TOLERANCE)]
        if len(sums_to_one) > 1:
            raise _ambiguous(logits)
        axis = sums_to_one[0] if sums_to_one else 1
    low, high = torch.aminmax(_sums(targets, axis))
    range_ = ProbabilityRange(torch.stack([targets.min().double(), low, high]), targets.shape)
    return FittedTargets(logits.movedim(axis, 1), targets.movedim(axis, 1), None, range_)


def _sums(targets: Tensor, axis: int) -> Tensor:
    return targets.sum(axis, dtype=torch.float64)


def _ambiguous(logits: Tensor) -> InputError:
    return InputError(
        f"the classes of logits of shape {tuple(logits.shape)} may lie along axis 1 or the last axis: say class_axis=1 "
        "or class_axis=-1"
    )


def _refuse_one_class(logits: Tensor, axis: int) -> None:
    if logits.shape[axis] == 1:
        raise one_output(logits)


def one_output(logits: Tensor) -> InputError:
    """The error of a model with one output per sample: cross-entropy among one class is always 0."""
    return InputError(
        f"the model returned {tuple(logits.shape)}, one output per sample or position, which the default cross-entropy "
        "cannot tell classes by: say task='multi_label' for a binary head, task='regression' for numbers, or pass "
        "loss_fn"
    )
