"""The options of a score: one entry per field of `ScoreOptions`, for every command that scores."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lswag_fast.cli.values import (
    AUTO,
    Assignment,
    Interval,
    interval,
    naming,
    positive,
    positive_or_auto,
    proxy_assignment,
    seed,
)
from lswag_fast.errors import InputError, warn

if TYPE_CHECKING:
    from lswag_fast.options import ScoreOptions

SCORE_OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "layers": (
        "--layers",
        {
            "type": interval,
            "metavar": "LO,HI",
            "help": "score these percentile bins of depth only (0 to 10), or auto: those known for the space "
            "(default: all)",
        },
    ),
    "pattern_samples": (
        "--pattern-samples",
        {
            "type": positive_or_auto,
            "default": AUTO,
            "metavar": "S",
            "help": "samples in an activation pattern (default: auto, from the largest activation)",
        },
    ),
    "gradient_samples": (
        "--gradient-samples",
        {
            "type": positive_or_auto,
            "default": AUTO,
            "metavar": "G",
            "help": "samples whose gradients are taken; fewer are faster (default: auto, as --fidelity says)",
        },
    ),
    "fidelity": (
        "--fidelity",
        {
            "choices": ("exact", "fast"),
            "help": "fast takes the gradients of 8 samples, or of 4 where only lswag reads them, for less than half "
            "of the price; exact those of all (default: exact; of search fast, the best 20 scored exactly at its end)",
        },
    ),
    "precision": (
        "--precision",
        {
            "choices": ("float32", "bfloat16"),
            "default": "float32",
            "help": "bfloat16 computes products in it, faster on CPUs that have AVX512_BF16 or AMX (default: float32)",
        },
    ),
    "row_fraction": (
        "--row-fraction",
        {
            "type": float,
            "default": 1.0,
            "metavar": "F",
            "help": "part of each weight's rows to measure; less is faster, 0.125 ranks nearly the same (default: 1)",
        },
    ),
    "variance": (
        "--variance",
        {
            "default": "sample",
            "metavar": "OVER",
            "help": "of gradients over samples, or over N micro-batches: microbatch:N (default: sample)",
        },
    ),
    "gradient": (
        "--gradient",
        {"choices": ("abs", "signed"), "default": "abs", "help": "whose variance is taken (default: abs)"},
    ),
    "combine": (
        "--lswag-combine",
        {
            "choices": ("layerwise", "product", "log"),
            "default": "layerwise",
            "help": "how L-SWAG joins its layers (default: layerwise)",
        },
    ),
    "task": (
        "--task",
        {
            "metavar": "NAME",
            "help": "what the targets are: classification, multi_label, regression, segmentation, surface_normals, "
            "autoencoding or jigsaw; of the transnas spaces the column: class_object, normal, ... (default: the "
            "space's, else classification)",
        },
    ),
    "loss_fn": (
        "--loss",
        {
            "metavar": "LOSS",
            "help": "cross_entropy, mse, l1, cosine, binary_cross_entropy, or a function MODULE:NAME: (outputs, "
            "targets) -> one loss per sample (default: that of the task)",
        },
    ),
    "loss_reduction": (
        "--loss-reduction",
        {"choices": ("sum", "mean"), "help": "how a function of --loss reduces, where it returns one number"},
    ),
    "output": (
        "--output",
        {
            "metavar": "WHICH",
            "help": "the part of the network's outputs that holds the logits: its place (-1 is the last) or its name "
            "(default: logits)",
        },
    ),
    "ignore_index": (
        "--ignore-index",
        {"type": int, "metavar": "LABEL", "help": "the label that marks what is not to count in the loss"},
    ),
    "class_axis": (
        "--class-axis",
        {"type": int, "choices": (1, -1), "help": "the axis of the classes, where the labels leave it open"},
    ),
    "chunk_size": (
        "--chunk-size",
        {"type": positive, "metavar": "N", "help": "samples at a time, to save memory (default: all)"},
    ),
    "features": (
        "--features",
        {"metavar": "MODULE", "help": "module, or pattern of modules, whose outputs zen and az_nas look at"},
    ),
    "proxy_options": (
        "--set",
        {
            "action": "append",
            "default": [],
            "type": proxy_assignment,
            "metavar": "PROXY.OPTION=VALUE",
            "help": "an option of one proxy, such as zen.batch_norm=optional; may be given several times",
        },
    ),
    "min_coverage": (
        "--min-coverage",
        {
            "type": float,
            "metavar": "SHARE",
            "help": "fail where less of the weights could be observed, from 0 to 1 (default: warn below 0.9)",
        },
    ),
    "nonfinite": (
        "--nonfinite",
        {
            "choices": ("raise", "propagate"),
            "default": "raise",
            "help": "a gradient that is NaN or infinite is an error, or makes the score NaN (default: raise)",
        },
    ),
    "init": (
        "--init",
        {
            "metavar": "NAME",
            "help": "weights: own (as built), kaiming, xavier, normal, or rescue, which sets zero or constant scales "
            "to 1 (default: the space's, else own)",
        },
    ),
    "seed": (
        "--seed",
        {"type": seed, "default": 0, "metavar": "S", "help": "of everything that is drawn (default: 0)"},
    ),
}
"""The option of each field of `ScoreOptions`: its name on the command line, and what argparse is told of it."""


_FORMER = {"--loss": ("--loss-fn",)}
"""Names that options had, in the commands of stored searches."""

_WITHOUT_FEATURES = {
    "model", "standard", "double_backward", "jacobian", "ntk", "synflow", "empirical_fisher", "features",
    "curvature",
}  # fmt: skip
"""The passes that look at no features."""


def add_score_options(parser: argparse.ArgumentParser, fields: Collection[str] = tuple(SCORE_OPTIONS)) -> None:
    """Add options of a score, by default all."""
    group = parser.add_argument_group("scoring")
    for flag, details in (SCORE_OPTIONS[field] for field in fields):
        group.add_argument(*_FORMER.get(flag, ()), flag, dest=_dest(flag), **details)


def score_options(
    args: argparse.Namespace,
    proxies: Collection[str],
    space: str | None = None,
    fields: Collection[str] = tuple(SCORE_OPTIONS),
) -> ScoreOptions:
    """Return the options of a score.

    Args:
        args: what was parsed.
        proxies: the names that are scored, which --set may name.
        space: the space that --layers auto means; None for a network of no space.
        fields: those that were added.

    Raises:
        InputError: an option cannot be used; the message names it.
    """
    from lswag_fast.options import ScoreOptions

    if "features" in fields and args.features is not None:
        _warn_of_unused_features(proxies)
    found = ScoreOptions()
    for field in fields:
        flag = SCORE_OPTIONS[field][0]
        value = getattr(args, _dest(flag))
        with naming(flag):
            found = replace(found, **{field: _meant(field, value, proxies, space)})
    return found


def _warn_of_unused_features(proxies: Collection[str]) -> None:
    from lswag_fast.proxies import get_proxy, list_proxies

    def looks(needs: Mapping[str, Any]) -> bool:
        return not needs.keys() <= _WITHOUT_FEATURES  # a pass of the user's own may look at them, too

    if not any(looks(get_proxy(name).needs) for name in proxies):
        those = ", ".join(info.name for info in list_proxies() if looks(info.needs))
        warn(f"--features is of no use to {', '.join(proxies)}; {those} look at features")


def _meant(field: str, value: Any, proxies: Collection[str], space: str | None) -> Any:
    """What the value of an option is in Python."""
    if field == "layers":
        return _layers(value, space)
    if field == "init":
        return value or "own"
    if field == "proxy_options":
        return _proxy_options(value, proxies)
    if field == "output" and value is not None:
        return int(value) if value.removeprefix("-").isdecimal() else value
    if field == "loss_fn" and value is not None and ":" in value:
        from lswag_fast.cli.targets import find

        return find(value)
    return value


def _dest(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")


def _layers(given: Interval | str | None, space: str | None) -> tuple[int, int] | None:
    if given is None:
        return None
    if isinstance(given, Interval):
        return given.low, given.high
    if space is None:
        raise InputError("auto is for networks of a space; give LO,HI")
    from lswag_fast.evaluation.intervals import interval_of

    return interval_of(space)


def _proxy_options(given: Collection[Assignment], proxies: Collection[str]) -> dict[str, dict[str, Any]]:
    found: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for item in given:
        proxy, _, option = item.option.partition(".")
        if proxy not in proxies:
            raise InputError(f"{item}: {proxy!r} is not among the proxies that are scored: {', '.join(proxies)}")
        if found[proxy].setdefault(option, item.value) != item.value:
            before = found[proxy][option]
            raise InputError(f"{item.option} is given twice, as {before} and as {item.value}; leave one out")
    return dict(found)
