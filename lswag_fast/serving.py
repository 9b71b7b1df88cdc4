"""Serving a list of proxies: the fewest passes, then each proxy on its numbers; a failure stays with its proxy."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from lswag_fast import kernels
from lswag_fast.data.batch import Batch
from lswag_fast.errors import LswagError
from lswag_fast.passes.options import PassOptions
from lswag_fast.passes.registry import RECIPES, Measurements
from lswag_fast.passes.shared.model_checks import check_model
from lswag_fast.passes.standard.measurements import LayerMeasurements, StandardMeasurements
from lswag_fast.proxies import ProxyInfo, get_proxy
from lswag_fast.proxies.lswag import trainability
from lswag_fast.result import LayerScore, Score, Scores


@dataclass(frozen=True)
class Served:
    """The scores by proxy, and the errors of those that failed."""

    scores: Scores
    failures: dict[str, LswagError]


def serve(
    model: nn.Module,
    batch: Any,
    names: Sequence[str],
    options: PassOptions,
    proxy_options: Mapping[str, Mapping[str, Any]],
    start: float,
) -> Served:
    """Run the passes that the proxies need, each once, and compute the proxies.

    Raises what makes every proxy impossible (a bad batch or model); what goes wrong with a pass or a proxy is in
    `failures`. `start` is `time.perf_counter()` when the user's call began.
    """
    checked = Batch.checked(batch)
    device = check_model(model, checked)
    failures: dict[str, LswagError] = {}
    proxies = _found(names, proxy_options, failures)
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for known, _ in proxies.values():
        for recipe, statistics in known.needs.items():
            wanted[recipe] |= statistics
    results: dict[str, object] = {}
    broken: dict[str, LswagError] = {}
    for recipe in (name for name in RECIPES if name in wanted):
        try:
            results[recipe] = RECIPES[recipe].run(model, checked, options, frozenset(wanted[recipe]))
        except LswagError as error:
            broken[recipe] = error
    values = _values(proxies, results, broken, failures)
    common: dict[str, Any] = {
        "n_samples": checked.n_samples,
        "device": str(device),
        "isa": kernels.isa_active(),
        "seed": options.seed,
        "elapsed_ms": (time.perf_counter() - start) * 1e3,
    }
    scores = Scores(passes=tuple(results))
    for name in names:
        info = proxies[name][0] if name in proxies else None
        own = proxies[name][1] if name in proxies else {}
        standard = results.get("standard") if info is not None and "standard" in info.needs else None
        scores[name] = Score(
            proxy=name,
            options={**_described(options), **own},
            **_valued(name, info, values.get(name, math.nan), failures.get(name)),
            **_layered(info, standard),
            **common,
        )
    return Served(scores, failures)


Wanted = dict[str, tuple[ProxyInfo, dict[str, Any]]]


def _found(
    names: Sequence[str], proxy_options: Mapping[str, Mapping[str, Any]], failures: dict[str, LswagError]
) -> Wanted:
    proxies: Wanted = {}
    for name in names:
        try:
            info = get_proxy(name)
            proxies[name] = info, info.checked_options(proxy_options.get(name, {}))
        except LswagError as error:
            failures[name] = error
    return proxies


def _values(
    proxies: Wanted, results: Mapping[str, object], broken: Mapping[str, LswagError], failures: dict[str, LswagError]
) -> dict[str, float]:
    """The value of each proxy whose passes ran and whose formula gives one."""
    values = {}
    for name, (info, options) in proxies.items():
        failed = next((broken[recipe] for recipe in info.needs if recipe in broken), None)
        try:
            if failed is not None:
                raise failed
            values[name] = float(info.compute(Measurements(results), **options))
        except LswagError as error:
            failures[name] = error
    return values


def _valued(name: str, info: ProxyInfo | None, raw: float, failure: LswagError | None) -> dict[str, Any]:
    """The fields of a score that say what it is worth."""
    error = str(failure) if failure is not None else None
    if error is None and not math.isfinite(raw):
        error = f"{name} is {raw}: its formula has no finite value for this network and batch"
    value = sign_log(raw) if info is not None and info.log_scale else raw
    return {"value": value, "raw": raw, "error": error, "higher_is_better": info is None or info.higher_is_better}


def _layered(info: ProxyInfo | None, standard: object) -> dict[str, Any]:
    """The fields of a score that come from an observed pass, where the proxy uses one."""
    if info is None or not isinstance(standard, StandardMeasurements):
        return {"layers": (), "skipped": (), "n_pattern_samples": 0}
    with_gradients = "gradients" in info.needs["standard"]
    return {
        "layers": tuple(_layer_score(layer, standard) for layer in standard.all_layers if with_gradients),
        "skipped": standard.skipped,
        "n_pattern_samples": standard.patterns.n_samples,
    }


def _described(options: PassOptions) -> dict[str, Any]:
    variance = "sample" if options.n_groups is None else f"microbatch:{options.n_groups}"
    kept = {key: getattr(options, key) for key in ("layers", "gradient", "row_fraction", "chunk_size")}
    return {**kept, "variance": variance}


def sign_log(value: float) -> float:
    """sign(s) ln|s|, and 0 for 0: the field's form of scores that explode (NASLib's synflow)."""
    if value == 0 or not math.isfinite(value):
        return value
    return math.copysign(1.0, value) * math.log(abs(value))


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
