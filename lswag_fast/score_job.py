"""The job of a search or an evaluation: an architecture's text -> the values of its proxies, here or in any process."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal, SupportsFloat

import torch
from torch import nn

from lswag_fast.data.batch import Batch
from lswag_fast.errors import InputError, LswagError, LswagWarning
from lswag_fast.kernels import float32_isa, isa_active
from lswag_fast.option_checks import check_count, check_names
from lswag_fast.options import FAST_GRADIENT_SAMPLES, MAX_THREADS, SEEDS, ScoreOptions, function_name
from lswag_fast.passes.shared.initialisation import initialise
from lswag_fast.passes.shared.latency import measure_latency_ms
from lswag_fast.passes.shared.precision import check_precision
from lswag_fast.passes.shared.stopwatch import measured, timed
from lswag_fast.proxies import get_proxy, with_parts
from lswag_fast.proxies.fidelity import ranks_alike, reads_gradients, with_fast_gradients
from lswag_fast.result import Score, Scores
from lswag_fast.scoring import score, score_many
from lswag_fast.spaces import SearchSpace, check_space
from lswag_fast.spaces.building import Weights, network_builder
from lswag_fast.spaces.text_space import example_inputs
from lswag_fast.spaces.traits import default_mode_of, task_of
from lswag_fast.study.objective import SCORE
from lswag_fast.study.settings import ScoringSettings, fingerprint

ScoreFunction = Callable[[nn.Module, Any], SupportsFloat]
Mode = Literal["train", "eval"]
# Whatever a search is guided by, the layers of its best network are shown by the two parts of this one.
PROFILE_PROXY = "lswag"


@dataclass(frozen=True)
class ScoreReport:
    """What became of scoring one architecture.

    Attributes:
        values: {proxy: value}, NaN for one that has none.
        errors: {proxy: why it has no value}; "all" where nothing could be scored.
        warnings: the texts of the warnings on the way, each once.
        coverage: the share of the weight matrices' elements that was observed; None where no proxy asked for it.
        elapsed_s: seconds, the building of the network included.
    """

    values: dict[str, float]
    errors: dict[str, str]
    warnings: tuple[str, ...] = ()
    elapsed_s: float = math.nan
    coverage: float | None = None

    @classmethod
    def failed(cls, proxies: Iterable[str], error: Exception) -> ScoreReport:
        """Return the report of an architecture that could not be scored at all."""
        return cls(dict.fromkeys(proxies, math.nan), {"all": f"{type(error).__name__}: {error}"})


@dataclass(frozen=True)
class ScoreJob:
    """Builds and scores architectures of one space; can be pickled wherever its parts can, and then gives the same.

    Called with an architecture's text it returns the values and raises what keeps a proxy from having one, as a search
    wants it; `report` keeps the reasons beside the values, as a table wants it. The random state of torch and its
    number of threads are afterwards what they were.

    Attributes:
        space: the search space.
        batch: `(inputs, targets)` as `score` takes it.
        proxies: names for `lswag_fast.score_many`, parts in the place of ranked ones; none with a function.
        function: `function(model, batch)` -> score, in place of proxies.
        mode: "train" or "eval", the mode of the networks; None for what the space says, else as it builds them.
        seed: of the weights and the score.
        n_threads: of torch, for each architecture; it decides the last bits of a score.
        options: of the score; its seed is `seed`, whatever it says. Its `init` is applied when a network is built. Its
            task is that of the space, where that names one.
        weights: see `network_builder`; shared weights are drawn once per process.

    Raises:
        SpaceError: the space is none.
        InputError: neither proxies nor a function, or both; an unknown or ranked proxy, option of one, or mode; a seed
            or a number of threads outside of its range; a task that is not that of the space.

    Example:
        >>> import random
        >>> from lswag_fast import data, spaces
        >>> space = spaces.NasBench201(channels=4, cells_per_stage=1, image_size=8, num_classes=10)
        >>> job = ScoreJob(space, data.load("digits", batch_size=8, image_size=8).batch, ("params", "flops"))
        >>> arch = space.sample(random.Random(0))
        >>> job(space.encode(arch)) == {"params": space.n_params(arch), "flops": space.macs(arch)}
        True
    """

    space: SearchSpace
    batch: Any
    proxies: tuple[str, ...] = ()
    function: ScoreFunction | None = None
    mode: Mode | None = None
    seed: int = 0
    n_threads: int = 1
    options: ScoreOptions = field(default_factory=ScoreOptions)
    weights: Weights = None

    def __post_init__(self) -> None:
        """Refuse what could score nothing."""
        check_space(self.space)
        if bool(self.proxies) == (self.function is not None):
            raise InputError(f"name proxies or pass a function; found {self.proxies!r} and {self.function!r}")
        if self.function is not None and not callable(self.function):
            raise InputError(f"function must be a function (model, batch) -> float, got {self.function!r}")
        if self.proxies:
            check_names("proxies", self.proxies)
        infos = [get_proxy(name) for name in self.proxies]
        if with_parts(self.proxies) != list(self.proxies):
            raise InputError("name the parts of ranked proxies: with_parts(proxies) has them")
        if self.mode not in (None, "train", "eval"):
            raise InputError(f"mode must be 'train', 'eval' or None, got {self.mode!r}")
        check_count("n_threads", self.n_threads, 1)
        if self.n_threads > MAX_THREADS:
            raise InputError(f"n_threads must be at most {MAX_THREADS:,}, got {self.n_threads}")
        if not isinstance(self.options, ScoreOptions):
            raise InputError(f"options must be ScoreOptions(...), got {self.options!r}")
        for info in infos:
            info.checked_options(self.options.proxy_options.get(info.name, {}))
        replace(self.options, seed=self.seed)  # refuses a seed outside of its range
        object.__setattr__(self, "options", options_of_space(self.space, self.options))

    def check_batch(self) -> None:
        """Refuse a batch that no network could be scored with, before anything is begun for it.

        Raises:
            InputError, ZeroVarianceError: the batch is none, or an option does not fit it. What a function of one's own
                makes of its batch is not known.
            BackendUnavailableError: the machine lacks the precision that is asked for.
        """
        if self.function is None:
            batch = Batch.checked(self.batch)
            self.options.for_batch(batch.n_samples, batch.n_batches)
            check_precision(self.options, batch.device)

    def at_fidelity(self, stored: Mapping[str, Any] | None = None) -> ScoreJob:
        """Return the job at the fidelity that a search uses.

        That is the one of the options; else that of the study which is continued; else "fast", where the other options
        and the batch allow it and every proxy ranks alike by few gradients (`proxies.fidelity`). Where "fast" gives the
        values of "exact", it is "exact": with a function, with proxies that use no gradients of single samples, and
        where `gradient_samples` or the batch is no larger.

        Args:
            stored: the options of the scores in a study that is continued, as `settings` has them.

        Raises:
            InputError: the batch is none.
        """
        exact = replace(self, options=replace(self.options, fidelity="exact"))
        was_fast = stored is not None and stored.get("fidelity") == "fast"
        fast = self._fast(stored if was_fast else None)
        before = None if stored is None else "fast" if was_fast else "exact"
        wanted = self.options.fidelity or before or ("fast" if fast._fits() and ranks_alike(self.proxies) else "exact")
        return fast if wanted == "fast" and (was_fast or fast._differs_from(exact)) else exact

    def _fast(self, stored: Mapping[str, Any] | None) -> ScoreJob:
        """The job at "fast": by the gradients of a study that is continued, else by those that its proxies need."""
        options = replace(self.options, fidelity="fast")
        if self.function is None and options.gradient_samples == "auto":
            if stored is None:
                options = with_fast_gradients(options, self.proxies, Batch.checked(self.batch).n_samples)
            else:
                options = replace(options, gradient_samples=stored.get("gradient_samples", FAST_GRADIENT_SAMPLES))
        return replace(self, options=options)

    def _fits(self) -> bool:
        try:
            self.check_batch()
        except InputError:
            return False
        return True

    def _differs_from(self, other: ScoreJob) -> bool:
        if self.function is not None or not any(map(reads_gradients, self.proxies)):
            return False
        n_samples = Batch.checked(self.batch).n_samples
        return self.options.n_gradient_samples(n_samples) != other.options.n_gradient_samples(n_samples)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the weights drawn here: drawing them again is quicker than sending them."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def __call__(self, arch_json: str) -> dict[str, float]:
        """Return {proxy: value} of an architecture, {"score": value} with a function.

        Raises whatever keeps it from having one.
        """
        return self._values(arch_json, self.options)

    def exact(self, arch_json: str) -> dict[str, float]:
        """Return the values at the fidelity "exact", of the same network."""
        return self._values(arch_json, self._exact_options)

    def _values(self, arch_json: str, options: ScoreOptions) -> dict[str, float]:
        with _torch_threads(self.n_threads):
            with timed("build"):
                model = self.network(self.space.decode(arch_json))
            if self.function is not None:
                return {SCORE: float(self.function(model, self.batch))}
            if len(self.proxies) == 1:  # raises the error itself
                return {self.proxies[0]: float(self._score(model, self.proxies[0], options))}
            scores = self._score_many(model, options)
        errors = {name: score.error for name, score in scores.items() if score.error}
        if errors:
            raise LswagError("; ".join(e if e.startswith(n) else f"{n}: {e}" for n, e in errors.items()))
        return {name: float(scores[name]) for name in self.proxies}

    def repeated(self, batches: Sequence[Any]) -> RepeatedJob:
        """Return the job that scores an architecture exactly with each batch, and weights of another seed each time."""
        jobs = [
            replace(self, batch=batch, seed=(self.seed + k) % SEEDS, options=self._exact_options)
            for k, batch in enumerate(batches, 1)
        ]
        for job in jobs:
            job.check_batch()
        return RepeatedJob(tuple(jobs))

    def report(self, arch_json: str) -> ScoreReport:
        """Return the values of an architecture, with the reason where a proxy has none.

        Raises what keeps the network from being built.
        """
        start = time.perf_counter()
        with _torch_threads(self.n_threads), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", LswagWarning)
            model = self.network(self.space.decode(arch_json))
            try:
                scores = self._score_many(model, self.options)
            except LswagError as error:
                found = ScoreReport.failed(self.proxies, error)
            else:
                values = {name: score.value for name, score in scores.items()}
                errors = {name: score.error for name, score in scores.items() if score.error}
                coverage = next((s.coverage for s in scores.values() if s.coverage is not None), None)
                found = ScoreReport(values, errors, coverage=coverage)
        texts = (str(warning.message) for warning in caught if issubclass(warning.category, LswagWarning))
        return replace(found, warnings=tuple(dict.fromkeys(texts)), elapsed_s=time.perf_counter() - start)

    def network(self, arch: Any) -> nn.Module:
        """Build the network of an architecture as it is scored."""
        model = initialise(self._build(arch), self.options.init, self.seed, example_inputs(self.space, 2))
        mode = self.mode or default_mode_of(self.space)
        return model if mode is None else model.train(mode == "train")

    def profile(self, arch: Any) -> dict[str, Any]:
        """Return what is worth showing of an architecture.

        "layers", the `LayerScore` of each weight as a dictionary; "coverage"; and "seconds", where the time of scoring
        it as a candidate goes: {part: seconds} of "build", "forward", "backward", "kernel" and "other".
        """
        with _torch_threads(self.n_threads), warnings.catch_warnings():
            # Those of the proxies that were asked for came with the trials; of this one nobody has asked anything.
            warnings.simplefilter("ignore", LswagWarning)
            found = self._score(self.network(arch), PROFILE_PROXY, self._exact_options)
        seconds = self._seconds(self.space.encode(arch))
        return {"layers": [asdict(layer) for layer in found.layers], "coverage": found.coverage, "seconds": seconds}

    def _seconds(self, arch_json: str) -> dict[str, float]:
        start = time.perf_counter()
        with measured() as seconds:
            self(arch_json)
        return {**seconds, "other": time.perf_counter() - start - sum(seconds.values())}

    def latency_ms(self, arch: Any) -> float:
        """Return the measured time of one image in milliseconds."""
        with _torch_threads(self.n_threads):
            return measure_latency_ms(self.network(arch), example_inputs(self.space, 1))

    def settings(self) -> ScoringSettings:
        """Return what decides the values beside space, proxies and seed."""
        function, fidelity, isa = self.function, self.options.fidelity, isa_active()
        samples = self.options.gradient_samples
        means_fast = fidelity == "fast" and samples == FAST_GRADIENT_SAMPLES  # as it has always been stored
        return ScoringSettings(
            function=None if function is None else function_name(function),
            options=replace(
                self.options,
                seed=0,
                init="own",
                task=None if task_of(self.space) else self.options.task,
                fidelity=None if fidelity == "exact" else fidelity,
                gradient_samples="auto" if means_fast else samples,
            ).changed(),
            n_threads=self.n_threads,
            isa=isa if self.options.precision == "bfloat16" else float32_isa(isa),
            batch_fingerprint=fingerprint(self.batch),
            weights_fingerprint=fingerprint(self.weights) if isinstance(self.weights, Mapping) else None,
            mode=self.mode,
            initialisation=self.options.init,
        )

    @property
    def _exact_options(self) -> ScoreOptions:
        if self.options.fidelity != "fast":
            return replace(self.options, fidelity="exact")
        return replace(self.options, fidelity="exact", gradient_samples="auto")  # a number was that of "fast"

    def _score(self, model: nn.Module, proxy: str, options: ScoreOptions) -> Score:
        return score(model, self.batch, proxy=proxy, options=options, seed=self.seed, init="own")

    def _score_many(self, model: nn.Module, options: ScoreOptions) -> Scores:
        given = replace(options, init="own")  # the network has its weights already
        return score_many(model, self.batch, proxies=self.proxies, options=given, seed=self.seed)

    @cached_property
    def _build(self) -> Callable[[Any], nn.Module]:
        return network_builder(self.space, self.weights, self.seed)


def options_of_space(space: SearchSpace, options: ScoreOptions) -> ScoreOptions:
    """Return the options with the task that the networks of a space are made for.

    Raises:
        InputError: the options say another task.

    Example:
        >>> from lswag_fast import spaces
        >>> options_of_space(spaces.get("transnas-micro"), ScoreOptions()).task
        'classification'
    """
    task = task_of(space)
    if task is None or options.task == task:
        return options
    if options.task is not None:
        raise InputError(f"task: the networks of {space.name} are made for {task!r}, found {options.task!r}")
    return replace(options, task=task)


@dataclass(frozen=True)
class RepeatedJob:
    """Scores an architecture several times: its text -> {proxy: the value of each repeat}.

    Attributes:
        jobs: one for each repeat.
    """

    jobs: tuple[ScoreJob, ...]

    @property
    def batches(self) -> tuple[str, ...]:
        """The fingerprints of their batches."""
        return tuple(fingerprint(job.batch) for job in self.jobs)

    def __call__(self, arch_json: str) -> dict[str, list[float]]:
        """Return the values; raises whatever keeps a repeat from having one."""
        values = [job(arch_json) for job in self.jobs]
        return {name: [value[name] for value in values] for name in values[0]}


@contextmanager
def _torch_threads(n_threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
