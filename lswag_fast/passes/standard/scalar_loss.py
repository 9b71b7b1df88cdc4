"""Whether a `loss_fn` that returns a scalar gives each sample the loss that it has alone.

A mean with class weights, or over the labels that are not ignored, divides by a number that the whole batch decides.
The gradients do not tell, but the loss does: it is evaluated on the outputs of a few samples at a time.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lswag_fast.data.batch import Batch, map_tensors
from lswag_fast.observe.weights import tensors_in
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.shared.loss import Loss, sample_losses
from lswag_fast.random_state import RandomState

_IN_PAIRS = 64
"""So many samples are taken in pairs, and all others together."""

_LEAST_FOR_PAIRS = 4

_ROUNDING = 100
"""So many rounding units two sums of the same losses may differ by: they are added in another order."""


def couples_samples(outputs: Any, loss: Loss, chunk: Batch, options: ScoreOptions) -> bool:
    """Whether a scalar loss of a batch is another than the losses of its parts make.

    A mean of a batch is then not the mean of its parts, or a sum not their sum; a constant that is added to the loss
    does not count. False for a loss per sample, for one that draws random numbers, and for one that does not run on
    fewer samples, which say nothing.

    Args:
        outputs: what the model returned for the batch.
        loss: of these outputs.
        chunk: the batch.
        options: with the `loss_fn`.

    Example:
        >>> import torch.nn.functional as F
        >>> logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
        >>> def told(weight: Tensor) -> bool:
        ...     own = lambda outputs, targets: F.cross_entropy(outputs, targets, weight)
        ...     loss = Loss(own(logits, labels), own(logits, labels), torch.tensor(0), None)
        ...     options = ScoreOptions(loss_fn=own, loss_reduction="mean")
        ...     return couples_samples(logits, loss, Batch(logits, labels, n_samples=4), options)
        >>> told(torch.ones(3)), told(torch.tensor([1.0, 2.0, 0.5]))
        (False, True)
    """
    whole = loss.losses.detach()
    if not callable(options.loss_fn) or whole.dim() or not torch.isfinite(whole):
        return False
    if not any(t.dim() and len(t) == chunk.n_samples for t in tensors_in(_plain(outputs))):
        return False
    state = RandomState()
    try:
        return _differs(whole, outputs, chunk, options)
    except Exception:  # whatever a user's function raises for a batch of another size
        return False
    finally:
        state.restore()


def _differs(whole: Tensor, outputs: Any, chunk: Batch, options: ScoreOptions) -> bool:
    def summed(samples: Sequence[int]) -> Tensor:
        taken = chunk.take(samples).targets
        with torch.no_grad():
            loss, _ = sample_losses(_of_samples(outputs, samples, chunk.n_samples), taken, options)
        return loss.double() * (len(samples) if options.loss_reduction == "mean" else 1)

    everything = range(chunk.n_samples)
    total = whole.double() * (chunk.n_samples if options.loss_reduction == "mean" else 1)
    parts = _parts(chunk.n_samples)
    losses = torch.stack([summed(part) for part in parts])
    eps = torch.finfo(whole.dtype).eps
    tolerance = min(_ROUNDING * eps, eps**0.5) * torch.maximum(losses.abs().sum(), total.abs())
    if (summed(everything) - total).abs() > tolerance:
        return False  # another loss for the same outputs: it draws random numbers, or counts its calls
    if not torch.isfinite(losses).all():
        return True  # such as the mean over no label at all
    constant = losses[0] + losses[1] - summed([*parts[0], *parts[1]]) if options.loss_reduction == "sum" else 0.0
    return bool((losses.sum() - (len(parts) - 1) * constant - total).abs() > tolerance)


def _parts(n_samples: int) -> list[Sequence[int]]:
    """Pairs, since functions that squeeze away axes of length 1 misread a sample alone; single ones of two or three."""
    if n_samples < _LEAST_FOR_PAIRS:
        return [[sample] for sample in range(n_samples)]
    end = min(n_samples, _IN_PAIRS)
    starts = range(0, end - 1, 2)
    pairs: list[Sequence[int]] = [range(start, start + 2) for start in starts]
    rest = range(2 * len(pairs), n_samples)
    return [*pairs, rest] if rest else pairs


def _of_samples(outputs: Any, samples: Sequence[int], n_samples: int) -> Any:
    """The outputs of some samples, in an object of the same type; tensors without an axis of samples stay whole."""

    def each(tensor: Tensor) -> Tensor:
        holds_samples = tensor.dim() > 0 and tensor.shape[0] == n_samples
        return tensor.detach()[torch.as_tensor(samples, device=tensor.device)] if holds_samples else tensor.detach()

    if isinstance(outputs, (Tensor, tuple, list)) or type(outputs) is dict:
        return map_tensors(each, outputs)
    parts = map_tensors(each, _plain(outputs))
    taken = copy.copy(outputs)
    for name, part in parts.items():
        if isinstance(outputs, Mapping):
            taken[name] = part
        else:
            setattr(taken, name, part)
    return taken


def _plain(outputs: Any) -> Any:
    """The parts of an object by name; tensors, tuples and lists as they are."""
    if isinstance(outputs, (Tensor, tuple, list)):
        return outputs
    return dict(outputs) if isinstance(outputs, Mapping) else dict(getattr(outputs, "__dict__", {}))
