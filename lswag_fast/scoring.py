"""`score` and `score_many`: check the arguments, run the passes, hand their numbers to the proxies."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import nn

from lswag_fast.errors import InputError, NonFiniteGradientError
from lswag_fast.passes.options import Features, PassOptions, parse_variance
from lswag_fast.passes.shared.loss import LossFunction, Reduction
from lswag_fast.proxies import get_proxy, with_parts
from lswag_fast.proxies.lswag import Combine
from lswag_fast.result import Score, Scores
from lswag_fast.serving import serve

NonFinite = Literal["raise", "propagate"]
ProxyOptions = Mapping[str, Mapping[str, Any]]


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
    features: Features | None = None,
    proxy_options: ProxyOptions | None = None,
    seed: int = 0,
    nonfinite: NonFinite = "raise",
) -> Score:
    """Score an untrained network with one forward and one backward pass. Higher is better for most proxies.

    L-SWAG (Casarin, Escalera, Lanz, CVPR 2025, Eq. 1), the default, multiplies, layer by layer, how evenly the
    per-sample gradients of the weights behave (Lambda_l = ln sum_w 1/sigma_w) with how many distinct on/off patterns
    the activations take (Psi_l). Scores are comparable only at the same batch size, pattern samples, data and options.
    The model is left exactly as it was: weights, gradients, buffers, modes and random state.

    Args:
        model: any `torch.nn.Module`. Weights of linear, conv1d and conv2d calls are scored, biases and norms are not.
            Use `model.eval()` when it has BatchNorm: in train mode BatchNorm couples the samples, and the statistic is
            then sample b's share of the batch gradient (the outer products of its own positions); a warning says so.
        batch: (inputs, targets), each a tensor (B, ...), or a tuple or dict of tensors as the model takes them;
            samples along axis 0, B >= 2. Or a list of N such pairs of equal size, the published form of ZiCo and
            xi-GSNR: the variance is then over the batches, which go through one by one.
        proxy: a name of `list_proxies()`.
        layers: score only the weights whose depth percentile bin (Eq. 6: 0..10, bin 10 is the last layer) lies in
            (lo, hi), both inclusive; None for all. Backward then stops at the deepest of them. "product" counts the
            patterns of the activations paired with the chosen weights.
        loss_fn: `loss_fn(outputs, targets)` -> (B,), one loss a sample. Default: cross-entropy on the output or its
            `logits`.
        loss_reduction: "sum" or "mean" when `loss_fn` returns a scalar; a mean is multiplied by B, since it would
            scale every gradient by 1/B.
        combine: of L-SWAG: "layerwise" sum_l Lambda_l * Psi_l (the supplement's D.2); "product" Eq. 1 read literally,
            (sum_l Lambda_l) * |union of the layers' patterns|; "log" sum_l ln(Psi_l * sum_w 1/sigma_w).
        variance: "sample", over the samples of the batch; "microbatch:N", over N micro-batches of consecutive samples
            with the gradients summed within each, as ZiCo does (their sum is B/N times larger, which shifts Lambda).
            Population variance in both.
        gradient: "abs", the variance of |dL/dw| (Eq. 1); "signed", of dL/dw (ZiCo's code).
        pattern_samples: S, the samples of a pattern. "auto" takes the first min(B, ceil(log2 V) + 2), V the neurons of
            the largest activation; the paper does not name S, and it matters.
        row_fraction: below 1, the sums over a layer's weights are estimated from a seeded random subset of blocks of 8
            output rows and scaled up; the cost falls with it.
        chunk_size: bounds the memory of activations: the batch goes through in chunks of so many samples. Keeps a
            running mean and M2 of all weights, 2 x the parameters in float32. Refused with a train-mode BatchNorm.
        features: for proxies of certain tensors (zen, az_nas): the name of a module, a pattern of names ("blocks.*"),
            or `f(model, inputs)` -> tensor or list of tensors. Default: the model's method `forward_features` (zen) or
            `block_features` (az_nas).
        proxy_options: {proxy: {option: value}}, the options of single proxies, e.g. {"reg_swap": {"mu": 5.0}}.
        seed: of everything random during the pass (dropout, row subsets, random inputs).
        nonfinite: "raise" NonFiniteGradientError, or "propagate": value NaN and `Score.error` set.

    Returns:
        A `Score`: the value, a `LayerScore` for each weight, and what was skipped and why.

    Raises:
        InputError: a bad batch or option. UnsupportedModelError: scripted, compiled, quantised, checkpointed, ...
        NothingObservedError, NoActivationsError: nothing to score. NonFiniteGradientError: NaN or infinite loss or
        gradient. ZeroVarianceError: no gradient varies. DeviceMismatchError, BackendUnavailableError: devices.
    """
    get_proxy(proxy)  # an unknown name before anything else
    if nonfinite not in ("raise", "propagate"):
        raise InputError(f"nonfinite must be one of 'raise', 'propagate', got {nonfinite!r}")
    served = serve(
        model,
        batch,
        [proxy],
        PassOptions(
            loss_fn=loss_fn,
            loss_reduction=loss_reduction,
            layers=layers,
            n_groups=parse_variance(variance),
            gradient=gradient,
            pattern_samples=pattern_samples,
            row_fraction=row_fraction,
            chunk_size=chunk_size,
            seed=seed,
            features=features,
        ),
        _proxy_options(combine, proxy_options),
        time.perf_counter(),
    )
    failure = served.failures.get(proxy)
    if failure is not None and not (isinstance(failure, NonFiniteGradientError) and nonfinite == "propagate"):
        raise failure
    return served.scores[proxy]


def score_many(
    model: nn.Module,
    batch: Any,
    *,
    proxies: Sequence[str],
    layers: tuple[int, int] | None = None,
    loss_fn: LossFunction | None = None,
    loss_reduction: Reduction | None = None,
    combine: Combine = "layerwise",
    variance: str = "sample",
    gradient: Literal["abs", "signed"] = "abs",
    pattern_samples: int | Literal["auto"] = "auto",
    row_fraction: float = 1.0,
    chunk_size: int | None = None,
    features: Features | None = None,
    proxy_options: ProxyOptions | None = None,
    seed: int = 0,
) -> Scores:
    """Score a network by several proxies with the fewest passes that serve them all.

    Proxies that need the same pass share it: grad_norm, plain, snip, fisher, zico, xi_gsnr, lswag, nwot, swap and
    reg_swap take one forward and one backward together. Arguments as for `score`.

    Returns:
        `Scores`, a dict {proxy: Score} in the order asked for, with the parts of az_nas and te_nas in their place (see
        `rank_networks`); `.passes` names the passes that ran. A proxy that failed
        (unknown, or not to be had from this model or batch) holds value NaN and the reason in `.error`; the others
        are not touched by it.

    Raises:
        InputError, UnsupportedModelError, DeviceMismatchError, BackendUnavailableError: what no proxy can be had
        from. ZeroVarianceError: all samples of the batch are the same.
    """
    if isinstance(proxies, str) or not proxies:
        raise InputError(f"proxies must be a list of names, got {proxies!r}; list_proxies() has them")
    served = serve(
        model,
        batch,
        with_parts(proxies),
        PassOptions(
            loss_fn=loss_fn,
            loss_reduction=loss_reduction,
            layers=layers,
            n_groups=parse_variance(variance),
            gradient=gradient,
            pattern_samples=pattern_samples,
            row_fraction=row_fraction,
            chunk_size=chunk_size,
            seed=seed,
            features=features,
        ),
        _proxy_options(combine, proxy_options),
        time.perf_counter(),
    )
    return served.scores


def _proxy_options(combine: Combine, given: ProxyOptions | None) -> dict[str, dict[str, Any]]:
    options = {name: dict(values) for name, values in (given or {}).items()}
    options["lswag"] = {"combine": combine, **options.get("lswag", {})}
    return options
