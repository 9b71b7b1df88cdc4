"""`score` and `score_many`: the options, the fewest passes, then each proxy on their measurements."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lswag_fast import kernels
from lswag_fast.data.batch import Batch
from lswag_fast.data.repeats import repeats_of
from lswag_fast.errors import InputError, LswagError, NonFiniteGradientError, ProxyFailedError
from lswag_fast.option_checks import check_names
from lswag_fast.options import ScoreOptions, takes_score_options
from lswag_fast.passes import Measurements, Pass, list_passes
from lswag_fast.passes.shared.checks import one_line
from lswag_fast.passes.shared.eager import uncompiled
from lswag_fast.passes.shared.initialisation import initialised
from lswag_fast.passes.shared.model_checks import batch_named, check_model, check_not_transformed
from lswag_fast.passes.shared.precision import check_castable, check_precision
from lswag_fast.passes.standard.measurements import LayerMeasurements, StandardMeasurements
from lswag_fast.passes.standard.parts import GRADIENT_STATISTICS
from lswag_fast.proxies import ProxyInfo, get_proxy, with_parts
from lswag_fast.proxies.fidelity import with_fast_gradients
from lswag_fast.proxies.lswag import trainability
from lswag_fast.result import LayerScore, Score, Scores

# What a score says of the options that it was made with.
_DESCRIBED = ("layers", "gradient", "precision", "row_fraction", "chunk_size", "variance", "init")


@takes_score_options
def score(
    model: nn.Module,
    batch: Any,
    *,
    proxy: str = "lswag",
    options: ScoreOptions | None = None,
    repeats: int = 1,
    **keywords: Any,
) -> Score:
    """Score an untrained network with one forward and one backward pass. Higher is better for most proxies.

    L-SWAG (Casarin, Escalera, Lanz, CVPR 2025, Eq. 1), the default, multiplies, layer by layer, how evenly the
    per-sample gradients of the weights behave (Lambda_l = ln sum_w 1/sigma_w) with how many distinct on/off patterns
    the activations take (Psi_l). Scores are comparable only at the same batch size, pattern samples, data and options.
    The model is left exactly as it was: weights, gradients, buffers, modes and random state.

    Args:
        model: any `torch.nn.Module`. Weights of linear and convolution calls and the tables of embeddings are scored,
            biases and norms are not. In train mode BatchNorm couples the samples: the gradient of sample b is then its
            share of the batch gradient (the outer products of its own positions), and a warning says so. `model.eval()`
            keeps them apart, but ranks CNNs worse, since an untrained BatchNorm then normalises nothing: to rank CNNs
            with each other, leave them in train mode. Samples are also coupled where the logits of one depend on the
            values of others, with or without a gradient: by a mean, a count, a softmax, an order or attention over the
            batch, or by samples mixed in. A `loss_fn` may couple them, too.
        batch: (inputs, targets), each a tensor (B, ...), or a tuple or dict of tensors as the model takes them;
            samples along axis 0, B >= 2. Or a list of N such pairs of equal size, the published form of ZiCo and
            xi-GSNR: the variance is then over the batches, which go through one by one.
        proxy: a name of `list_proxies()`.
        options: all options at once.
        repeats: R above 1 says how sure the value is: the batch is cut into R equal parts, each is scored with a seed
            of its own, which also draws the weights where `init` says so, and the value is the mean, with its
            `standard_error`. A part is a batch: compare with scores of batches of that size.
        keywords: single options, in place of those of `options`; `ScoreOptions` describes each.

    Returns:
        A `Score`: the value, a `LayerScore` for each weight, and what was skipped and why.

    Raises:
        InputError: a bad batch or option.
        UnsupportedModelError: scripted, compiled, quantised, checkpointed, ..., or a model that torch cannot
            differentiate (`__cause__` is torch's error).
        NothingObservedError: there is no weight to score.
        NoActivationsError: there is no activation that the proxy could read.
        NonFiniteGradientError: the loss or a gradient is NaN or infinite.
        ZeroVarianceError: no gradient varies.
        DeviceMismatchError: the model and the batch lie on different devices.
        BackendUnavailableError: the kernels were not built for the device, or it lacks the `precision` asked for.
        TypeError: a keyword is no option.
        Exception: what the model or `loss_fn` raise comes as it is.

    Example:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
        >>> batch = torch.randn(16, 8), torch.arange(16) % 4
        >>> found = score(model, batch)
        >>> found.higher_is_better, [layer.name for layer in found.layers]
        (True, ['0.weight', '2.weight'])
        >>> score(model, batch, proxy="zico", variance="microbatch:2").n_samples
        16
    """
    start = time.perf_counter()
    if not isinstance(proxy, str):
        raise InputError(f"proxy must be one name, got {type(proxy).__name__}; score_many takes several")
    info = get_proxy(proxy)  # an unknown name before anything else
    chosen = ScoreOptions.of("score", options, keywords)
    info.checked_options(_proxy_options(chosen).get(info.name, {}))
    if parts := repeats_of(batch, chosen, repeats):
        _check_call(model, batch, chosen)  # what is wrong with all repeats is not that of the first
        return Score.of_repeats(
            [each.scored_by(lambda part, own: score(model, part, proxy=proxy, options=own)) for each in parts]
        )
    computed = compute_scores(model, batch, [proxy], chosen, start)
    failure = computed.failures.get(proxy)
    if failure is not None and not (isinstance(failure, NonFiniteGradientError) and chosen.nonfinite == "propagate"):
        raise (failure.__cause__ if isinstance(failure, ProxyFailedError) else None) or failure
    return computed.scores[proxy]


@takes_score_options
def score_many(
    model: nn.Module,
    batch: Any,
    *,
    proxies: Sequence[str],
    options: ScoreOptions | None = None,
    repeats: int = 1,
    **keywords: Any,
) -> Scores:
    """Score a network by several proxies with the fewest passes that serve them all.

    Proxies that need the same pass share it: grad_norm, plain, snip, fisher, zico, xi_gsnr, lswag, nwot, swap and
    reg_swap take one forward and one backward together.

    Args:
        model: as for `score`.
        batch: as for `score`.
        proxies: names of `list_proxies()`.
        options: all options at once.
        repeats: as for `score`; each repeat scores its part by all proxies.
        keywords: single options, in place of those of `options`; `ScoreOptions` describes each.

    Returns:
        `Scores`, a dict {proxy: Score} in the order asked for, with the parts of az_nas and te_nas in their place (see
        `rank_networks`); `.passes` names the passes that ran. A proxy that failed (unknown, not to be had from this
        model or batch, or ended by an error of any kind) holds value NaN and the reason in `.error`; the others are not
        touched by it.

    Raises:
        InputError, UnsupportedModelError, DeviceMismatchError, BackendUnavailableError: what no proxy can be had
            from.
        ZeroVarianceError: all samples of the batch are the same.
        TypeError: a keyword is no option.

    Example:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
        >>> batch = torch.randn(16, 8), torch.arange(16) % 4
        >>> scores = score_many(model, batch, proxies=["lswag", "nwot", "synflow"])
        >>> list(scores), scores.passes
        (['lswag', 'nwot', 'synflow'], ('standard', 'synflow'))
        >>> found = score_many(model, batch, proxies=["nwot", "zico"], repeats=4)
        >>> [len(score.repeated) for score in found.values()]
        [4, 4]
    """
    start = time.perf_counter()
    check_names("proxies", proxies, "; [info.name for info in list_proxies()] has all of them")
    chosen = ScoreOptions.of("score_many", options, keywords)
    if parts := repeats_of(batch, chosen, repeats):
        _check_call(model, batch, chosen)
        return Scores.of_repeats(
            [each.scored_by(lambda part, own: score_many(model, part, proxies=proxies, options=own)) for each in parts]
        )
    return compute_scores(model, batch, with_parts(proxies), chosen, start).scores


@dataclass(frozen=True)
class ComputedScores:
    """The scores by proxy, and the errors of those that failed."""

    scores: Scores
    failures: dict[str, LswagError]


def compute_scores(
    model: nn.Module, batch: Any, names: Sequence[str], options: ScoreOptions, start: float
) -> ComputedScores:
    """Run the passes that the proxies need, each once, and compute the proxies.

    Raises what makes every proxy impossible (a bad batch or model); what goes wrong with a pass or a proxy is in
    `failures`. `start` is `time.perf_counter()` when the user's call began.
    """
    checked, device = _check_call(model, batch, options)
    failures: dict[str, LswagError] = {}
    proxies = _found(names, _proxy_options(options), failures)
    options = with_fast_gradients(options, proxies, checked.n_samples)
    with uncompiled(), initialised(model, checked, options):
        outcomes = _run_passes(model, checked, options, [info for info, _ in proxies.values()])
    values = _values(proxies, outcomes, failures)
    common: dict[str, Any] = {
        "n_samples": checked.n_samples,
        "device": str(device),
        "isa": kernels.isa_active(),
        "seed": options.seed,
        "elapsed_ms": (time.perf_counter() - start) * 1e3,
    }
    scores = Scores(tuple(name for name, each in outcomes.items() if not all(map(_is_error, each.values()))))
    for name in names:
        info, own = proxies.get(name, (None, {}))
        standard = None if info is None else _of_proxy(info, outcomes).get("standard")
        scores[name] = Score(
            proxy=name,
            options={
                **{option: getattr(options, option) for option in _DESCRIBED},
                "fidelity": options.fidelity or "exact",
                **own,
            },
            **_valued(name, info, values.get(name, math.nan), failures.get(name)),
            **_layered(info, standard),
            **common,
        )
    return ComputedScores(scores, failures)


def _check_call(model: nn.Module, batch: Any, options: ScoreOptions) -> tuple[Batch, torch.device]:
    """The batch and the device; raises what keeps every proxy from having a value, whatever the samples are."""
    check_not_transformed()
    checked = Batch.checked(batch)
    device = check_model(model, checked)
    check_precision(options, device)
    check_castable(model, options)
    return checked, device


def _proxy_options(options: ScoreOptions) -> dict[str, dict[str, Any]]:
    own = {get_proxy(name).name: dict(values) for name, values in options.proxy_options.items()}
    return {**own, "lswag": {"combine": options.combine, **own.get("lswag", {})}}


Statistics = frozenset[str]
Outcomes = dict[str, dict[Statistics, object]]
"""By pass and by what proxies ask of it: the measurements, or the error of the library that they ended in."""


def _run_passes(model: nn.Module, batch: Batch, options: ScoreOptions, infos: Sequence[ProxyInfo]) -> Outcomes:
    """Run each pass that is needed, once for all proxies; where that fails, once for each set of statistics.

    So a proxy does not fail by what another asks of the same pass: patterns need no loss, which labels may not fit.
    """
    outcomes: Outcomes = {}
    for pass_ in list_passes():
        asked = dict.fromkeys(frozenset(info.needs[pass_.name]) for info in infos if pass_.name in info.needs)
        if not asked:
            continue
        found = _run_pass(pass_, model, batch, options, frozenset().union(*asked))
        if isinstance(found, LswagError) and len(asked) > 1:
            outcomes[pass_.name] = {own: _run_pass(pass_, model, batch, options, own) for own in asked}
        else:
            outcomes[pass_.name] = dict.fromkeys(asked, found)
    return outcomes


def _run_pass(pass_: Pass, model: nn.Module, batch: Batch, options: ScoreOptions, statistics: Statistics) -> object:
    try:
        with batch_named(model, batch, options.precision), _ForeignErrors(f"the {pass_.name} pass"):
            return pass_.run(model, batch.copied(), options, statistics)
    except LswagError as error:
        return error


@dataclass(frozen=True)
class _ForeignErrors:
    """Turns what is no error of this library into a ProxyFailedError; a warning that the user made an error stays.

    No generator: `contextmanager` would let a StopIteration through, taking the new error for Python's own.
    """

    failed: str

    def __enter__(self) -> None:
        """Begin to look at errors."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Turn an error, whatever a model, a loss or a proxy of the user's raises."""
        if isinstance(error, Exception) and not isinstance(error, (LswagError, Warning)):
            said = f"{self.failed} failed with {type(error).__name__}: {one_line(error)}"
            raise ProxyFailedError(said.rstrip(": ")) from error


Wanted = dict[str, tuple[ProxyInfo, dict[str, Any]]]


def _found(
    names: Sequence[str], proxy_options: Mapping[str, Mapping[str, Any]], failures: dict[str, LswagError]
) -> Wanted:
    proxies: Wanted = {}
    for name in names:
        try:
            info = get_proxy(name)
            own = info.checked_options(proxy_options.get(name, {}))
            proxies[name] = info.with_options(own), own
        except LswagError as error:
            failures[name] = error
    return proxies


def _of_proxy(info: ProxyInfo, outcomes: Outcomes) -> dict[str, object]:
    """What each pass left for a proxy."""
    return {name: outcomes[name][frozenset(statistics)] for name, statistics in info.needs.items()}


def _is_error(outcome: object) -> bool:
    return isinstance(outcome, LswagError)


def _values(proxies: Wanted, outcomes: Outcomes, failures: dict[str, LswagError]) -> dict[str, float]:
    """The value of each proxy whose passes ran and whose formula gives one."""
    values = {}
    for name, (info, options) in proxies.items():
        measured = _of_proxy(info, outcomes)
        try:
            for found in measured.values():
                if isinstance(found, LswagError):
                    raise found
            with _ForeignErrors(f"proxy {name!r}"):
                found = info.compute(Measurements(measured), **options)
            values[name] = _number(name, found)
        except LswagError as error:
            failures[name] = error
    return values


def _number(name: str, found: object) -> float:
    """What a proxy returned as a number; raises InputError for what is none."""
    try:
        return float(found)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise InputError(f"proxy {name!r} returned {type(found).__name__}, not a number: {error}") from error


def _valued(name: str, info: ProxyInfo | None, raw: float, failure: LswagError | None) -> dict[str, Any]:
    """The fields of a score that say what it is worth."""
    error = str(failure) if failure is not None else None
    if error is None and not math.isfinite(raw):
        error = f"{name} is {raw}: its formula has no finite value for this network and batch"
    value = raw
    if info is not None and info.log_scale and math.isfinite(raw):
        value = math.log(raw) if raw > 0 else math.nan
        error = error or (None if raw > 0 else f"{name} is {raw}, and its value, the logarithm, needs more than 0")
    return {"value": value, "raw": raw, "error": error, "higher_is_better": info is None or info.higher_is_better}


def _layered(info: ProxyInfo | None, standard: object) -> dict[str, Any]:
    """The fields of a score that come from an observed pass, where the proxy uses one."""
    if info is None or not isinstance(standard, StandardMeasurements):
        return {"layers": (), "skipped": (), "n_pattern_samples": 0}
    with_gradients = "gradients" in info.needs["standard"]
    differentiates = not GRADIENT_STATISTICS.isdisjoint(info.needs["standard"])
    return {
        "layers": tuple(_layer_score(layer, standard) for layer in standard.all_layers if with_gradients),
        "skipped": standard.skipped,
        "n_pattern_samples": standard.patterns.n_samples,
        "n_gradient_samples": standard.n_gradient_samples if differentiates else 0,
        "coverage": standard.coverage.share if differentiates else None,
    }


def _layer_score(row: LayerMeasurements, standard: StandardMeasurements) -> LayerScore:
    patterned = row.activation is not None and standard.patterns.n_samples > 0
    activation = standard.patterns.activations[row.activation] if row.activation is not None else None
    return LayerScore(
        name=row.name,
        kind=row.kind,
        depth=row.depth,
        percentile=row.percentile,
        n_weights=row.n_weights,
        trainability=math.nan if row.n_nonfinite else trainability(row["sum_inv_sigma"]),
        cardinality=standard.patterns.cardinality(row.activation) if patterned and row.activation is not None else None,
        activation=None if activation is None else activation.name,
        n_zero_variance=row.n_zero_variance,
        n_nonfinite=row.n_nonfinite,
    )
