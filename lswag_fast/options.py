"""The options of a score: one list of them, for Python, for searches and for the command line."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from torch import Tensor, nn

from lswag_fast import tasks
from lswag_fast.errors import InputError
from lswag_fast.option_checks import (
    check_choice,
    check_count,
    check_functions,
    check_interval,
    check_outputs,
    is_number,
    loss_named,
)

SEEDS = 2**64  # the generator of torch takes 64 bits
MAX_THREADS = 1024  # more than torch can start end the process without a word
_NAMELESS = " object"  # ends the name of what has none

LossFunction = Callable[[Any, Any], Tensor]
"""`loss_fn(outputs, targets)` -> one loss per sample (B,), or a scalar if `loss_reduction` says which."""
Reduction = Literal["sum", "mean"]
Features = str | Callable[[nn.Module, Any], Tensor | Sequence[Tensor]]
"""Where a pass takes the features from: a module's name, a pattern of names, or `f(model, inputs)`."""
Output = int | str | Callable[[Any], Any]
"""Which part of what the model returned counts: its place, its name, or `f(outputs)`."""
ClassAxis = Literal[1, -1]
"""Where the classes of logits lie: (B, C, ...) or (B, ..., C)."""
Initialisation = Literal["own", "kaiming", "xavier", "normal", "rescue"]
"""What becomes of a network's weights before it is scored."""
Fidelity = Literal["exact", "fast"]
"""What "auto" means where an option trades the price of a score for how exactly it ranks."""
Precision = Literal["float32", "bfloat16"]
"""What the products of the observed pass are computed in."""
FAST_GRADIENT_SAMPLES = 8
"""What "fast" takes in general; `lswag_fast.proxies.fidelity` knows which proxies do with fewer."""
Combine = Literal["layerwise", "product", "log"]
NonFinite = Literal["raise", "propagate"]
ProxyOptions = Mapping[str, Mapping[str, Any]]

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """Every option of a score. `score` and `score_many` take them as keywords, too; `search` and `ScoreJob` do not.

    Attributes:
        layers: score only the weights whose depth percentile bin (Eq. 6: 0..10, bin 10 is the last layer) lies in
            (lo, hi), both inclusive; None for all. Backward then stops at the deepest of them. "product" counts the
            patterns of the activations paired with the chosen weights.
        task: what the targets are, a name of `lswag_fast.tasks.names()`; it decides the loss where `loss_fn` is None.
        loss_fn: `loss_fn(outputs, targets)` -> (B,), one loss per sample, or a name: "cross_entropy", "mse", "l1",
            "cosine" or "binary_cross_entropy", the mean over all outputs of a sample. Default, without a task:
            cross-entropy on the output or its `logits`, with targets of class indices, (B,) or one per position, or of
            class probabilities (one-hot and soft labels) of the logits' shape, summed over a sample's positions.
        loss_reduction: "sum" or "mean" when `loss_fn` returns a scalar; a mean is multiplied by B, since it would
            scale every gradient by 1/B. A mean that divides by anything but B (class weights, `ignore_index`) makes the
            samples depend on each other, and a warning says so.
        output: the part of what the model returns that holds the logits, for every pass, and that `loss_fn` gets: its
            place in a tuple (-1 of `(features, logits)`), its name (a key or an attribute), or `f(outputs)`.
        ignore_index: the class index of pixels or tokens that the default loss leaves out, such as 255 or -100; each
            sample needs a label that counts.
        class_axis: of the default loss, 1 for logits (B, C, ...) and -1 for (B, ..., C). Default: what the targets'
            shape says; where it allows both it must be given.
        combine: of L-SWAG: "layerwise" sum_l Lambda_l * Psi_l (the supplement's D.2); "product" Eq. 1 read literally,
            (sum_l Lambda_l) * (number of the layers' patterns, each once); "log" sum_l ln(Psi_l * sum_w 1/sigma_w).
        variance: "sample", over the samples of the batch; "microbatch:N", over N micro-batches of consecutive samples
            with the gradients summed within each, as ZiCo does (their sum is B/N times larger, which shifts Lambda).
            Population variance in both.
        gradient: "abs", the variance of `|dL/dw|` (Eq. 1); "signed", of dL/dw (ZiCo's code).
        pattern_samples: S, the samples of a pattern. "auto" takes the first min(B, ceil(log2 V) + 2), V the neurons of
            the largest activation; the paper does not name S, and it matters.
        gradient_samples: G, the first samples of the batch, whose gradients the standard pass takes, as a batch of
            their own; "auto" takes all, or what `fidelity` says. The patterns of further samples come from a forward
            without gradients, in train mode a batch of its own for BatchNorm, too. nwot and the proxies of other passes
            take the whole batch. `chunk_size` cuts the samples of either.
        fidelity: "exact", or "fast": "auto" of `gradient_samples` then takes 8, but 4 where L-SWAG is the only one of
            the proxies that reads gradients, or all of a smaller batch, for less than half of the price at batch 32
            (docs/results/speed.md). No other option changes. None: "exact", but in `search` what that says.
        precision: "float32" leaves the model as it is; "bfloat16" computes the products of the observed forward and
            backward in bfloat16 (torch.autocast), on weights that stay in float32. For CPUs that have AVX512_BF16 or
            AMX, and CUDA; refused elsewhere, and with a model in float64. Other passes stay in float32.
        row_fraction: below 1, the sums over a layer's weights are estimated from a seeded random subset of blocks of 8
            output rows and scaled up; the cost falls with it.
        chunk_size: bounds the memory of activations: the batch goes through in chunks of so many samples, at least 2.
            Chunks whose calls, neurons or observed weights differ are refused, for they give no numbers of the batch.
            Keeps a running mean and M2 of all weights, 2 x the parameters in float32. Refused with a train-mode
            BatchNorm, and with a model that brings samples together otherwise (`score` says how).
        features: for proxies of certain tensors (zen, az_nas): the name of a module, a pattern of names ("blocks.*"),
            or `f(model, inputs)` -> tensor or list of tensors. Default: the model's method `forward_features` (zen) or
            `block_features` (az_nas).
        proxy_options: {proxy: {option: value}}, the options of single proxies, e.g. {"reg_swap": {"mu": 5.0}}.
        init: the weights that the network is scored with, on the model itself, whose own are given back: "own", as they
            are; "kaiming" (normal, by fan-in), "xavier" (normal) or "normal" (N(0, 0.02^2)), drawn from `seed` for all
            linear and convolution modules, with biases of 0; "rescue" sets only the scales that are 0 or constant to 1
            and draws weights that are constant, such as a zero head: what keeps gradients from other layers.
        seed: of everything random during a pass (dropout, row subsets, random inputs), 0 <= seed < 2**64.
        nonfinite: what `score` does about a NaN or infinite loss or gradient: "raise" NonFiniteGradientError, or
            "propagate": value NaN and `Score.error` set. `score_many` always does the latter.
        min_coverage: the least share of the elements of all weight matrices that must be observed, from 0 to 1; with
            less, proxies of gradients raise LowCoverageError. Without it a warning says where less than 0.9 is seen.

    Raises:
        InputError: a value outside of its range; names the option.

    Example:
        >>> options = ScoreOptions(pattern_samples=16, layers=(2, 10))
        >>> options.variance
        'sample'
        >>> ScoreOptions(row_fraction=2)
        Traceback (most recent call last):
        lswag_fast.errors.InputError: row_fraction must lie in (0, 1], got 2
    """

    layers: tuple[int, int] | None = None
    task: str | None = None
    loss_fn: LossFunction | str | None = None
    loss_reduction: Reduction | None = None
    output: Output | None = None
    ignore_index: int | None = None
    class_axis: ClassAxis | None = None
    combine: Combine = "layerwise"
    variance: str = "sample"
    gradient: Literal["abs", "signed"] = "abs"
    pattern_samples: int | Literal["auto"] = "auto"
    gradient_samples: int | Literal["auto"] = "auto"
    fidelity: Fidelity | None = None
    precision: Precision = "float32"
    row_fraction: float = 1.0
    chunk_size: int | None = None
    features: Features | None = None
    proxy_options: ProxyOptions = field(default_factory=dict)
    init: Initialisation = "own"
    seed: int = 0
    nonfinite: NonFinite = "raise"
    min_coverage: float | None = None

    def __post_init__(self) -> None:
        """Take numpy's numbers as Python's; refuse a value outside of its range (InputError)."""
        for name in (
            "layers",
            "pattern_samples",
            "gradient_samples",
            "row_fraction",
            "chunk_size",
            "seed",
            "output",
            "ignore_index",
            "class_axis",
            "min_coverage",
        ):
            object.__setattr__(self, name, _plain(getattr(self, name)))
        check_functions(self.loss_fn, self.features)
        if self.task is not None:
            object.__setattr__(self, "task", tasks.get(self.task).name)
        check_outputs(self)
        object.__setattr__(self, "proxy_options", _copied(self.proxy_options))
        for name, kind in (
            ("combine", Combine),
            ("nonfinite", NonFinite),
            ("init", Initialisation),
            ("precision", Precision),
        ):
            check_choice(name, getattr(self, name), get_args(kind))
        _check_one_combine(self.combine, self.proxy_options)
        for name, kind in (("loss_reduction", Reduction), ("fidelity", Fidelity)):
            if getattr(self, name) is not None:
                check_choice(name, getattr(self, name), get_args(kind))
        check_choice("gradient", self.gradient, ("abs", "signed"))
        parse_variance(self.variance)
        if self.layers is not None:
            check_interval(self.layers)
            object.__setattr__(self, "layers", tuple(self.layers))
        if not is_number(self.row_fraction) or not 0 < self.row_fraction <= 1:
            raise InputError(f"row_fraction must lie in (0, 1], got {self.row_fraction!r}")
        if self.min_coverage is not None and not (is_number(self.min_coverage) and 0 <= self.min_coverage <= 1):
            raise InputError(f"min_coverage must lie in [0, 1], got {self.min_coverage!r}")
        for name, least, why in (("pattern_samples", 1, ""), ("gradient_samples", 2, "a variance needs two gradients")):
            if not (isinstance(getattr(self, name), str) and getattr(self, name) == "auto"):
                check_count(name, getattr(self, name), least, why)
        if self.chunk_size is not None:
            check_count("chunk_size", self.chunk_size, 2)  # see `Batch.chunks`
        check_count("seed", self.seed, 0)
        if self.seed >= SEEDS:
            raise InputError(f"seed must be below 2**64, got {self.seed}")

    def __hash__(self) -> int:
        """Equal options have equal hashes; those of single proxies, which may hold anything, are left out."""
        return hash(tuple(getattr(self, option.name) for option in fields(self) if option.name != "proxy_options"))

    @classmethod
    def of(cls, function: str, options: ScoreOptions | None, keywords: Mapping[str, Any]) -> ScoreOptions:
        """Return the options that a caller gave: ready ones, some as keywords, or both.

        Args:
            function: the name of the function that was called, for the message.
            options: None for the defaults.
            keywords: in place of those of `options`.

        Raises:
            TypeError: a keyword is no option, as for any Python function.
            InputError: a value outside of its range.

        Example:
            >>> ScoreOptions.of("score", ScoreOptions(seed=3), {"gradient": "signed"}).seed
            3
        """
        if options is not None and not isinstance(options, ScoreOptions):
            raise InputError(f"options must be ScoreOptions, got {type(options).__name__}")
        known = [option.name for option in fields(cls)]
        for name in keywords:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise TypeError(f"{function}() got an unexpected keyword argument {name!r}{hint}")
        return replace(options or cls(), **keywords)

    @property
    def loss_name(self) -> str | None:
        """The name of the loss, that of `loss_fn` or of the task; None for the default, and for a function."""
        return loss_named(self.task, self.loss_fn)

    @property
    def is_cross_entropy(self) -> bool:
        """Whether the loss is cross-entropy, the default or by name."""
        return not callable(self.loss_fn) and self.loss_name in (None, tasks.CROSS_ENTROPY)

    @property
    def n_groups(self) -> int | None:
        """N of variance="microbatch:N", None for "sample"."""
        return parse_variance(self.variance)

    def to_json(self) -> dict[str, Any]:
        """Return all options as JSON values: tuples as lists, a function by its qualified name.

        Example:
            >>> ScoreOptions(layers=(0, 3)).to_json()["layers"]
            [0, 3]
        """
        return {option.name: _json(getattr(self, option.name)) for option in fields(self)}

    def changed(self) -> dict[str, Any]:
        """Return the options that differ from the defaults, as JSON values.

        Example:
            >>> ScoreOptions(layers=(0, 3), seed=0).changed()
            {'layers': [0, 3]}
        """
        usual = ScoreOptions().to_json()
        return {name: value for name, value in self.to_json().items() if value != usual[name]}

    def n_gradient_samples(self, n_samples: int) -> int:
        """Return G for a batch of B samples, whatever the proxy.

        Example:
            >>> ScoreOptions().n_gradient_samples(32), ScoreOptions(fidelity="fast").n_gradient_samples(32)
            (32, 8)
        """
        if self.gradient_samples != "auto":
            return self.gradient_samples
        return min(FAST_GRADIENT_SAMPLES, n_samples) if self.fidelity == "fast" else n_samples

    def for_batch(self, n_samples: int, n_batches: int = 1) -> ScoreOptions:
        """Return the options for a batch.

        Args:
            n_samples: B, of all batches together.
            n_batches: how many batches those are; several are the micro-batches, and go through one by one.

        Raises:
            InputError: an option does not fit the batch.
        """
        if n_batches == 1:
            self._check_batch(n_samples)
            return self
        if self.n_groups is not None or self.chunk_size is not None or self.n_gradient_samples(n_samples) != n_samples:
            raise InputError(
                "a list of batches is its own micro-batches and chunks; leave variance, chunk_size, gradient_samples "
                "and fidelity out"
            )
        fitting = replace(self, variance=f"microbatch:{n_batches}", chunk_size=n_samples // n_batches)
        fitting._check_batch(n_samples)
        return fitting

    def _check_batch(self, n_samples: int) -> None:
        for name in ("pattern_samples", "gradient_samples"):
            wanted = getattr(self, name)
            if wanted != "auto" and wanted > n_samples:
                raise InputError(f"{name} is {wanted}, the batch has {n_samples} samples")
        if self.n_groups is None:
            return
        n_batch, n_samples = n_samples, self.n_gradient_samples(n_samples)
        if n_samples % self.n_groups:
            chosen_by = "gradient_samples of fidelity='fast'" if self.fidelity == "fast" else "gradient_samples"
            fewer = f"{n_samples} samples whose gradients are taken ({chosen_by})"
            what = f"batch of {n_samples} samples" if n_samples == n_batch else fewer
            raise InputError(f"variance='microbatch:{self.n_groups}' does not divide the {what}")
        if self.chunk_size is not None and self.chunk_size % (n_samples // self.n_groups):
            raise InputError(
                f"chunk_size {self.chunk_size} cuts a micro-batch; make it a multiple of {n_samples // self.n_groups}"
            )


def takes_score_options(function: _Function) -> _Function:
    """Show every option, with its default, in the signature of a function that takes them as `**keywords`."""
    signature = inspect.signature(function)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    options = [
        inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=_default(option), annotation=option.type)
        for option in fields(ScoreOptions)
    ]
    function.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
    return function


def parse_variance(variance: str) -> int | None:
    """Return N of "microbatch:N", None for "sample"; raises InputError for anything else."""
    if isinstance(variance, str) and variance == "sample":
        return None
    kind, _, count = str(variance).partition(":")
    if kind != "microbatch" or not count.isdecimal() or int(count) < 2:  # a variance needs two groups
        raise InputError(f"variance must be 'sample' or 'microbatch:N' with N >= 2, got {variance!r}")
    return int(count)


def _default(option: Field[Any]) -> Any:
    return MappingProxyType({}) if option.default is MISSING else option.default


def _plain(value: Any) -> Any:
    """The value with Python's numbers in the place of numpy's, which JSON and torch do not take."""
    if isinstance(value, np.generic):
        return value.item()
    return type(value)(map(_plain, value)) if isinstance(value, (tuple, list)) else value


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_json(item) for item in value]
    return function_name(value) if callable(value) else _plain(value)


def function_name(function: Callable[..., Any]) -> str:
    """Return what a function is called in the settings of a study; see `is_nameless`.

    Example:
        >>> function_name(_copied), function_name(nn.CrossEntropyLoss()), is_nameless(function_name(lambda x: x))
        ('_copied', 'CrossEntropyLoss()', True)
    """
    name = getattr(function, "__qualname__", None)
    if name is not None:
        return str(name)
    shown = " ".join(repr(function).split())
    return f"{type(function).__qualname__}{_NAMELESS}" if " at 0x" in shown else shown


def is_nameless(name: object) -> bool:
    """Whether functions that differ share a name of `function_name`: lambdas, and objects that show nothing."""
    return isinstance(name, str) and ("<lambda>" in name or name.endswith(_NAMELESS))


def _copied(proxy_options: ProxyOptions) -> ProxyOptions:
    """The options of single proxies, which the caller's own dictionary does not change any more."""
    if not isinstance(proxy_options, Mapping) or not all(isinstance(own, Mapping) for own in proxy_options.values()):
        raise InputError(f"proxy_options must be {{proxy: {{option: value}}}}, got {proxy_options!r}")
    return {name: dict(own) for name, own in proxy_options.items()}


def _check_one_combine(combine: Combine, proxy_options: ProxyOptions) -> None:
    """Refuse two values for the one option that has a name of its own and is one of a proxy, too."""
    own = proxy_options.get("lswag", {}).get("combine", combine)
    if combine != ScoreOptions.combine and own != combine:
        raise InputError(f"combine of lswag is given twice, as {combine!r} and as lswag.combine={own!r}; leave one out")
