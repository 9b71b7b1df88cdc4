"""Samples that depend on each other: which part of a pass tells, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor

from lswag_fast.data.batch import Batch
from lswag_fast.errors import InputError, warn
from lswag_fast.observe import Observation
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.shared.checks import listed
from lswag_fast.passes.shared.loss import Loss, sample_losses, total_loss
from lswag_fast.passes.shared.outputs import scored_tensors
from lswag_fast.passes.standard.scalar_loss import couples_samples


def is_own_loss(options: ScoreOptions) -> bool:
    """Whether functions of the user's lie between the outputs of the model and the losses."""
    return callable(options.loss_fn) or callable(options.output)


def followed_loss(observation: Observation, outputs: Any, chunk: Batch, options: ScoreOptions) -> Loss:
    """The loss of a chunk; functions of the user's are followed, since they may bring samples together, too."""
    following = observation.following(chunk.targets) if is_own_loss(options) else None
    return total_loss(outputs, chunk.targets, chunk.n_samples, options, following)


def mixing_calls(observation: Observation, outputs: Any, loss: Loss | None, options: ScoreOptions) -> tuple[str, ...]:
    """The calls that make a sample's loss, or without a loss its outputs, depend on other samples.

    A loss that is a scalar says nothing of single samples: then the outputs count.

    Raises:
        InputError: there are some in a chunk of the batch.
    """
    is_of_samples = loss is not None and is_own_loss(options) and loss.losses.dim() > 0
    tensors = [loss.losses] if loss is not None and is_of_samples else scored_tensors(outputs, options)
    return observation.mixing_calls(tensors, partial(_scored, options, is_of_samples))


def _scored(options: ScoreOptions, is_of_samples: bool, outputs: Any, targets: Any) -> Sequence[Tensor]:
    return [sample_losses(outputs, targets, options)[0]] if is_of_samples else scored_tensors(outputs, options)


def warn_of_scalar_loss(
    observation: Observation, outputs: Any, loss: Loss | None, chunk: Batch, options: ScoreOptions
) -> None:
    """Warn of a scalar loss that is not made of the losses that the samples have alone.

    Raises:
        InputError: it is that of a chunk of the batch.
    """
    if loss is None or not couples_samples(outputs, loss, chunk, options):
        return
    what = f"loss_fn makes the samples depend on each other: the {options.loss_reduction} that it returns for a batch"
    what += f" is not the {options.loss_reduction} of its parts (class weights, ignored labels or a term of the batch)"
    if observation.independent_samples:
        raise InputError(f"chunk_size needs independent samples, but {what}; leave chunk_size out")
    warn(
        f"{what}, and a sample's gradient is its share of the batch gradient; return one loss per sample, and leave "
        "labels out by ignore_index= of the default loss"
    )


_BATCH_NORM_ADVICE = "; model.eval() would keep them apart, but leave it so to rank CNNs with each other"


def warn_of_coupling(observation: Observation, mixing: Sequence[str]) -> None:
    """Warn where the samples depend on each other, by a BatchNorm in train mode or by these calls."""
    if not observation.weights or not (observation.couples_samples or mixing):
        return
    if mixing:
        norm = "a BatchNorm in train mode and " if observation.couples_samples else ""
        what, advice = f"{norm}calls that bring samples of the batch together ({listed(mixing)}) make", ""
    else:
        what = "a BatchNorm in train mode makes"
        advice = _BATCH_NORM_ADVICE if observation.eval_avoids_coupling else ""
    warn(f"{what} the samples depend on each other: a sample's gradient is its share of the batch gradient{advice}")
