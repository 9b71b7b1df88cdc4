"""`score`: check the arguments, run the pass, hand the per-layer numbers to the proxy."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Sequence
from typing import Any, Literal

from torch import nn

from lswag_fast import kernels
from lswag_fast.errors import InputError, LswagWarning, NonFiniteGradientError, ZeroVarianceError
from lswag_fast.passes.batch import Batch
from lswag_fast.passes.loss import LossFunction, Reduction
from lswag_fast.passes.memory import halving_chunks
from lswag_fast.passes.model import check_model
from lswag_fast.passes.numbers import LayerNumbers, layer_numbers
from lswag_fast.passes.options import PassOptions, parse_variance
from lswag_fast.passes.standard import StandardPass, standard_pass
from lswag_fast.proxies import COMBINES, Combine, lswag, trainability
from lswag_fast.result import LayerScore, Score

NonFinite = Literal["raise", "propagate"]


def score(
    model: nn.Module,
    batch: Any,
    *,
    proxy: str = "lswag",
    layers: tuple[int, int] | None = None,
    loss_fn: LossFunction | None = None,
    loss_reduction: Reduction | None = None,
    combine: Combine = "layerwise",
    variance: str = "sample",
    gradient: Literal["abs", "signed"] = "abs",
    pattern_samples: int | Literal["auto"] = "auto",
    row_fraction: float = 1.0,
    chunk_size: int | None = None,
    seed: int = 0,
    nonfinite: NonFinite = "raise",
) -> Score:
    """Score an untrained network with one forward and one backward pass. Higher is better.

    L-SWAG (Casarin, Escalera, Lanz, CVPR 2025, Eq. 1) multiplies, layer by layer, how evenly the per-sample gradients
    of the weights behave (Lambda_l = ln sum_w 1/sigma_w) with how many distinct on/off patterns the activations take
    (Psi_l). Scores are comparable only at the same batch size, pattern samples, data and options. The model is left
    exactly as it was: weights, gradients, buffers, modes and random state.

    Args:
        model: any `torch.nn.Module`. Weights of linear, conv1d and conv2d calls are scored, biases and norms are not.
            Use `model.eval()` when it has BatchNorm: in train mode BatchNorm couples the samples, and the statistic is
            then sample b's share of the batch gradient (the outer products of its own positions); a warning says so.
        batch: (inputs, targets), each a tensor (B, ...), or a tuple or dict of tensors as the model takes them;
            samples along axis 0, B >= 2.
        proxy: "lswag".
        layers: score only the weights whose depth percentile bin (Eq. 6: 0..10, bin 10 is the last layer) lies in
            (lo, hi), both inclusive; None for all. Backward then stops at the deepest of them. "product" counts the
            patterns of the activations paired with the chosen weights.
        loss_fn: `loss_fn(outputs, targets)` -> (B,), one loss a sample. Default: cross-entropy on the output or its
            `logits`.
        loss_reduction: "sum" or "mean" when `loss_fn` returns a scalar; a mean is multiplied by B, since it would
            scale every gradient by 1/B.
        combine: "layerwise" sum_l Lambda_l * Psi_l (the supplement's D.2); "product" Eq. 1 read literally,
            (sum_l Lambda_l) * |union of the layers' patterns|; "log" sum_l ln(Psi_l * sum_w 1/sigma_w).
        variance: "sample", over the samples of the batch; "microbatch:N", over N micro-batches of consecutive samples
            with the gradients summed within each, as ZiCo does (their sum is B/N times larger, which shifts Lambda).
            Population variance in both.
        gradient: "abs", the variance of |dL/dw| (Eq. 1); "signed", of dL/dw (ZiCo's code).
        pattern_samples: S, the samples of a pattern. "auto" takes the first min(B, ceil(log2 V) + 2), V the neurons of
            the largest activation; the paper does not name S, and it matters.
        row_fraction: below 1, sum 1/sigma of each layer is estimated from a seeded random subset of blocks of 8 output
            rows and scaled up; the cost falls with it.
        chunk_size: bounds the memory of activations: the batch goes through in chunks of so many samples. Keeps a
            running mean and M2 of all weights, 2 x the parameters in float32. Refused with a train-mode BatchNorm.
        seed: of everything random during the pass (dropout, row subsets).
        nonfinite: "raise" NonFiniteGradientError, or "propagate": value NaN and `Score.error` set.

    Returns:
        A `Score`: the value, a `LayerScore` for each weight, and what was skipped and why.

    Raises:
        InputError: a bad batch or option. UnsupportedModelError: scripted, compiled, quantised, checkpointed, ...
        NothingObservedError, NoActivationsError: nothing to score. NonFiniteGradientError: NaN or infinite loss or
        gradient. ZeroVarianceError: no gradient varies. DeviceMismatchError, BackendUnavailableError: devices.
    """
    start = time.perf_counter()
    _check_names(proxy, combine, nonfinite)
    options = PassOptions(
        loss_fn,
        loss_reduction,
        layers,
        parse_variance(variance),
        gradient,
        pattern_samples,
        row_fraction,
        chunk_size,
        seed,
    )
    checked = Batch.checked(batch)
    device = check_model(model, checked)
    done = halving_chunks(lambda fitting: standard_pass(model, checked, fitting), options, checked.n_samples)
    numbers = layer_numbers(done)
    error = _check_numbers(numbers, done.n_nonfinite_losses, nonfinite)
    rows = tuple(_layer_score(row, done) for row in numbers)
    return Score(
        value=math.nan if error else _combined(rows, numbers, done, combine),
        proxy=proxy,
        layers=rows,
        skipped=done.skipped,
        n_samples=checked.n_samples,
        n_pattern_samples=done.patterns.n_samples,
        elapsed_ms=(time.perf_counter() - start) * 1e3,
        device=str(device),
        isa=kernels.isa_active(),
        seed=seed,
        options={
            "layers": layers,
            "combine": combine,
            "variance": variance,
            "gradient": gradient,
            "row_fraction": row_fraction,
            "chunk_size": chunk_size,
        },
        error=error,
    )


def _check_names(proxy: str, combine: str, nonfinite: str) -> None:
    for name, value, known in (
        ("proxy", proxy, ("lswag",)),
        ("combine", combine, COMBINES),
        ("nonfinite", nonfinite, ("raise", "propagate")),
    ):
        if value not in known:
            raise InputError(f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}")


def _check_numbers(numbers: Sequence[LayerNumbers], n_nonfinite_losses: int, nonfinite: NonFinite) -> str | None:
    """Raise for, or describe, what is not finite; raise when nothing varies, warn when a layer does not."""
    message = _nonfinite(numbers, n_nonfinite_losses)
    if message:
        if nonfinite == "raise":
            raise NonFiniteGradientError(message + "; check the initialisation, or pass nonfinite='propagate'")
        return message
    constant = [row.name for row in numbers if row.n_finite_variance == 0]
    if len(constant) == len(numbers):
        raise ZeroVarianceError(
            f"no gradient of the {len(numbers)} observed weight(s) varies over the samples; are the samples identical, "
            "or is the network constant?"
        )
    if constant:
        warnings.warn(
            f"no gradient varies over the samples in {', '.join(constant)}; left out of the score",
            LswagWarning,
            stacklevel=3,
        )
    return None


def _nonfinite(numbers: Sequence[LayerNumbers], n_losses: int) -> str:
    """Describe NaN and infinite losses and gradients; empty when there are none."""
    found = [f"the loss is NaN or infinite for {n_losses} value(s)"] if n_losses else []
    broken = [row for row in numbers if row.n_nonfinite]
    if broken:
        first = broken[0]
        found.append(
            f"{len(broken)} weight(s) have NaN or infinite gradients, first {first.name} "
            f"({first.n_nonfinite} of {first.n_weights} elements)"
        )
    return "; ".join(found)


def _layer_score(row: LayerNumbers, done: StandardPass) -> LayerScore:
    return LayerScore(
        name=row.name,
        kind=row.kind,
        depth=row.depth,
        percentile=row.percentile,
        n_weights=row.n_weights,
        trainability=math.nan if row.n_nonfinite else trainability(row.sum_inv_sigma),
        cardinality=done.patterns.cardinality(row.activation),
        activation=done.patterns.activations[row.activation].name,
        n_zero_variance=row.n_zero_variance,
        n_nonfinite=row.n_nonfinite,
    )


def _combined(
    rows: Sequence[LayerScore], numbers: Sequence[LayerNumbers], done: StandardPass, combine: Combine
) -> float:
    union = done.patterns.union_cardinality(row.activation for row in numbers) if combine == "product" else None
    return lswag([row.trainability for row in rows], [row.cardinality for row in rows], union, combine)
