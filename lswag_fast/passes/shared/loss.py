"""One loss per sample, from whatever the model returns."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast import tasks
from lswag_fast.errors import InputError
from lswag_fast.options import Reduction, ScoreOptions
from lswag_fast.passes.shared.checks import listed_samples
from lswag_fast.passes.shared.outputs import HOW, chosen_output, described, find_logits, real
from lswag_fast.passes.shared.targets import TargetCheck, fit_targets, one_output

IGNORE_INDEX = -100
"""The label that torch and the libraries of language models give what does not count."""


@dataclass(frozen=True)
class Loss:
    """`total`, the sum of the losses of the samples: a scalar, so that every sample's gradient enters unscaled.

    `losses` are those of the samples (B,), or the scalar that a `loss_fn` made of them.
    What is wrong with the values is found on their device and read by `checked`, after the backward, so that a pass on
    a GPU is not held up in its middle.
    """

    total: Tensor
    losses: Tensor
    n_nonfinite: Tensor
    targets: TargetCheck | None

    def checked(self, first: int = 0) -> int:
        """The number of losses that are NaN or infinite; raises InputError for targets that the loss cannot take.

        `first` is the place in the batch of the first sample, by which such a sample is named.
        """
        if self.targets is not None:
            self.targets.check(first)
        return int(self.n_nonfinite)


def total_loss(
    outputs: Any,
    targets: Any,
    n_samples: int,
    options: ScoreOptions,
    around: AbstractContextManager[Any] | None = None,
) -> Loss:
    """The summed loss, to be checked when the pass is over.

    `options.output` chooses among the outputs. `loss_fn(outputs, targets)` returns (B,), one loss per sample, or, when
    `loss_reduction` says which it is, their sum or mean; the mean is multiplied by B, since it would scale every
    per-sample gradient by 1/B. Default: cross-entropy, or the loss of `options.task`. The user's functions run inside
    of `around`. Raises InputError for another shape.
    """
    with nullcontext() if around is None else around:
        losses, check = sample_losses(outputs, targets, options)
    reduction = options.loss_reduction
    if losses.dim() == 0:
        total = _unreduced(losses, n_samples, reduction)
    elif losses.shape == (n_samples,) and reduction is None:
        total = losses.sum()
    else:
        said = "" if reduction is None else f" although loss_reduction={reduction!r} announces a scalar"
        raise InputError(f"loss_fn returned shape {tuple(losses.shape)}{said}; one loss per sample is ({n_samples},)")
    return Loss(total, losses, (~torch.isfinite(losses.detach())).sum(), check)


def sample_losses(outputs: Any, targets: Any, options: ScoreOptions) -> tuple[Tensor, TargetCheck | None]:
    """The losses as `loss_fn` or the default loss gives them, and what is still to be checked of the targets.

    Raises InputError for what is no loss.
    """
    outputs, check = chosen_output(outputs, options.output), None
    if callable(options.loss_fn):
        losses = options.loss_fn(outputs, targets)
    elif options.is_cross_entropy:
        losses, check = cross_entropy(outputs, targets, options)
    else:
        losses = tasks.LOSSES[str(options.loss_name)](_output(outputs), targets)
    if not isinstance(losses, Tensor):
        raise InputError(f"loss_fn must return a tensor, got {type(losses).__name__}")
    if losses.is_complex():
        raise InputError(f"loss_fn returned {losses.dtype}; a loss is a real number: take .real or .abs() of it")
    return losses, check


def _unreduced(loss: Tensor, n_samples: int, reduction: Reduction | None) -> Tensor:
    if reduction is None:
        raise InputError(
            "loss_fn returned a scalar; return one loss per sample (reduction='none'), or say loss_reduction='sum' or "
            "'mean' (a mean scales every gradient by 1/B, which is undone)"
        )
    return loss * n_samples if reduction == "mean" else loss


@dataclass(frozen=True)
class TokenLoss:
    """A `loss_fn` of language models: cross-entropy of each token, one sum per sample.

    The logits are the output itself or its `logits`, (B, T, V); the labels (B, T) are token indices. The losses of a
    sample's tokens are added up.

    Attributes:
        shift: whether the label of a token is that of the next one, as the labels of a causal language model are its
            inputs themselves; the first label and the last logits then do not count.
        ignore_index: the label of what does not count, such as padding.

    Raises:
        InputError: when it is called with labels that do not fit, or samples without a label that counts, which are
            named: their gradients would all be 0.

    Example:
        >>> import math, torch
        >>> logits = torch.zeros(2, 3, 5)
        >>> labels = torch.tensor([[1, 2, 3], [4, 0, -100]])
        >>> TokenLoss(shift=True)(logits, labels).div(math.log(5)).tolist()  # two tokens count, and one
        [2.0, 1.0]
    """

    shift: bool = False
    ignore_index: int = IGNORE_INDEX

    def __call__(self, outputs: Any, targets: Any) -> Tensor:
        """Return the losses (B,)."""
        logits = _logits(outputs)
        self._check(logits, targets)
        labels = targets.long()
        if self.shift:
            logits, labels = logits[:, :-1], labels[:, 1:]
        counts = labels != self.ignore_index
        empty = (~counts.any(1)).nonzero().flatten().tolist()
        if empty:
            raise InputError(
                f"TokenLoss: no token counts in {listed_samples(empty)} of the batch: all labels are "
                f"{self.ignore_index}{' but the first' if self.shift else ''}; leave such samples out"
            )
        found = labels[counts]
        low, high, n_tokens = int(found.min()), int(found.max()), logits.shape[2]
        if low < 0 or high >= n_tokens:
            raise InputError(
                f"TokenLoss: labels run from {low} to {high}, the model tells {n_tokens} tokens (0..{n_tokens - 1}); "
                "what is not to count has the label ignore_index"
            )
        return F.cross_entropy(logits.movedim(2, 1), labels, ignore_index=self.ignore_index, reduction="none").sum(1)

    def _check(self, logits: Tensor, targets: Any) -> None:
        if not isinstance(targets, Tensor) or targets.is_floating_point() or targets.is_complex():
            found = targets.dtype if isinstance(targets, Tensor) else type(targets).__name__
            raise InputError(f"TokenLoss: labels are a tensor of whole numbers (B, T), got {found}")
        if logits.dim() != 3 or targets.shape != logits.shape[:2]:  # (B, T, V)
            raise InputError(
                f"TokenLoss: labels of shape {tuple(targets.shape)} do not fit logits of shape {tuple(logits.shape)}; "
                "one label for each token of logits (B, T, V)"
            )
        if self.shift and logits.shape[1] < 2:  # nothing is left
            raise InputError("TokenLoss(shift=True): texts of one token have no next one")


def cross_entropy(outputs: Any, targets: Any, options: ScoreOptions) -> tuple[Tensor, TargetCheck]:
    """Cross-entropy per sample (B,), and what is still to be checked of the targets.

    The positions of a dense prediction (B, C, ...) or (B, ..., C) are summed, or, where the loss was chosen by its name
    or a task, averaged as their losses are; those of `ignore_index` are left out. See `fit_targets` for the targets.
    Raises InputError when the output holds no logits or the shapes do not fit.
    """
    logits = _logits(outputs)
    if not isinstance(targets, Tensor):
        raise InputError(f"the default loss needs a tensor of targets, got {type(targets).__name__}; pass loss_fn")
    fitted = fit_targets(logits, targets, options.class_axis, options.ignore_index)
    losses = F.cross_entropy(fitted.logits, fitted.targets, reduction="none")
    if fitted.ignored is not None:
        losses = losses.masked_fill(fitted.ignored, 0)
    if losses.dim() > 1:
        losses = losses.flatten(1).sum(1) if options.loss_name is None else losses.flatten(1).mean(1)
    return losses, fitted.check


def _output(outputs: Any) -> Tensor:
    output = find_logits(outputs)
    if output is None:
        raise InputError(f"the model returned {described(outputs)} without `logits`; {HOW}, or pass loss_fn")
    return output


def _logits(outputs: Any) -> Tensor:
    logits = _output(outputs)
    if logits.dim() == 1:  # (B,)
        raise one_output(logits)
    if logits.dim() < 1:
        raise InputError("the default loss needs logits (B, C), the model returned a scalar; pass loss_fn")
    return real(logits)
