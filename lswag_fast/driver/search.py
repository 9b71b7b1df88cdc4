"""`search()`: score architectures of a space one after the other and keep the best."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any, SupportsFloat

import torch

from lswag_fast.driver.budget import Budget
from lswag_fast.driver.pool import SpaceExhaustedError
from lswag_fast.driver.samplers import Sampler
from lswag_fast.driver.study import Study
from lswag_fast.driver.trial import COMPLETE, FAILED, Trial, ranked
from lswag_fast.errors import InputError, LswagError
from lswag_fast.spaces import SearchSpace, SharesWeights

# A search whose first trials all fail has a mistake in its settings, not bad luck: it stops there.
FAILURES_BEFORE_STOP = 10
# Architectures listed in result.json and on the command line.
N_BEST = 10
_VERSIONED_PACKAGES = ("lswag-fast", "torch", "numpy")

ScoreFunction = Callable[[torch.nn.Module, Any], SupportsFloat]
Callback = Callable[[Study, Trial], None]


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        best: the trial with the highest score; None only when the search was interrupted before the first score.
        trials: all finished trials in order of their numbers, the failed ones too.
        settings: everything that decides the outcome.
        stopped: why the search ended: `finished`, `exhausted` (no further architecture) or `interrupted` (Ctrl-C).
        path: the folder with `trials.csv` and `result.json`; None when nothing was stored.
        elapsed_ms: wall time of all trials, in milliseconds.
    """

    best: Trial | None
    trials: tuple[Trial, ...]
    settings: Mapping[str, Any]
    stopped: str
    path: Path | None
    elapsed_ms: float

    def top(self, count: int = N_BEST) -> list[Trial]:
        """Return the best `count` trials, best first."""
        return ranked(self.trials)[:count]

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `result.json`: plain JSON values."""
        states = [trial.state for trial in self.trials]
        return {
            "best": [trial.to_dict() for trial in self.top()],
            "counts": {"trials": len(states), "complete": states.count(COMPLETE), "failed": states.count(FAILED)},
            "stopped": self.stopped,
            "settings": dict(self.settings),
            "versions": versions(),
            "elapsed_ms": round(self.elapsed_ms, 3),
        }


def search(
    space: SearchSpace,
    batch: Any,
    *,
    proxy: str | ScoreFunction = "lswag",
    budget: Budget | None = None,
    n_trials: int,
    sampler: str | Sampler = "evolution",
    seed: int = 0,
    storage: str | os.PathLike[str] | None = None,
    callbacks: Sequence[Callback] = (),
    weights: Mapping[str, torch.Tensor] | None = None,
    score_options: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> SearchResult:
    """Score `n_trials` architectures of `space` and return them with the best one.

    All candidates are built from slices of one set of supernet weights, drawn once from `seed` where the space has
    `init_weights`; else each is built with fresh weights from the same seed. All are scored on the same batch: scores
    compare only at the same batch, batch size and options.

    A candidate whose score raises an `LswagError` or a `RuntimeError` (out of memory, say) is recorded as failed and
    never ranked. Ctrl-C ends the search after storing what it has; the result then says `stopped="interrupted"`.

    Args:
        space: the search space.
        batch: `(inputs, targets)` as `score` takes it, in the shapes that the space's models want.
        proxy: name of a proxy for `lswag_fast.score`, or a function `(model, batch) -> float`, higher is better.
        budget: what an architecture may cost; None for no limit.
        n_trials: how many architectures to score in total, at least 1.
        sampler: `"evolution"` (AutoFormer's), `"random"`, or a `Sampler`.
        seed: of the proposals, the weights and the score.
        storage: new or empty folder for `trials.csv` (one row a trial, written as it ends) and `result.json`.
        callbacks: called as `callback(study, trial)` after each trial.
        weights: supernet weights to slice instead of drawn ones, a trained checkpoint say.
        score_options: further keywords of `lswag_fast.score`; only with a proxy given by name.
        metadata: recorded with the settings, JSON values: where the data came from, say.

    Raises:
        InputError: an argument cannot be used, or the first score refuses the batch or an option.
        BudgetError: no architecture of the space meets the budget.
        StorageError: the folder is not empty or cannot be written.
        LswagError: the first trials (`FAILURES_BEFORE_STOP`, or all of fewer) failed; names the last failure.
    """
    if n_trials < 1:
        raise InputError(f"n_trials must be at least 1; found {n_trials}")
    options = dict(score_options or {})
    score_function = _score_function(proxy, seed, options)
    study = Study(space, sampler, storage, seed, budget)
    build = candidate_builder(space, weights, seed)
    start = time.perf_counter()
    stopped = _run(study, lambda arch: float(score_function(build(arch), batch)), n_trials, callbacks)
    settings = {
        **_study_settings(study),
        "proxy": proxy if isinstance(proxy, str) else getattr(proxy, "__qualname__", repr(proxy)),
        "score_options": options,
        "n_trials": n_trials,
        **(metadata or {}),
    }
    finished = tuple(trial for trial in study.trials if trial.state in (COMPLETE, FAILED))
    path = study.folder.path if study.folder is not None else None
    elapsed_ms = (time.perf_counter() - start) * 1e3
    result = SearchResult(study.best, finished, settings, stopped, path, elapsed_ms)
    if study.folder is not None:
        study.folder.write_result(result.to_dict())
    return result


def _run(study: Study, evaluate: Callable[[Any], float], n_trials: int, callbacks: Iterable[Callback]) -> str:
    """Ask, evaluate and tell until done; return why it ended."""
    try:
        while len(study.trials) < n_trials:
            try:
                trial = study.ask()
            except SpaceExhaustedError:
                if study.best is None:
                    raise _all_failed(study) from None
                return "exhausted"
            finished = _evaluate(study, trial, evaluate, n_trials)
            for callback in callbacks:
                callback(study, finished)
    except KeyboardInterrupt:
        return "interrupted"
    return "finished"


def _evaluate(study: Study, trial: Trial, evaluate: Callable[[Any], float], n_trials: int) -> Trial:
    try:
        score = evaluate(trial.arch)
    except (LswagError, RuntimeError) as error:
        # Before the first score, a refused argument is the caller's mistake and would fail every candidate.
        if isinstance(error, InputError) and study.best is None:
            raise
        finished = study.tell(trial, error=f"{type(error).__name__}: {error}")
        if study.best is None and len(study.trials) >= min(FAILURES_BEFORE_STOP, n_trials):
            raise _all_failed(study) from error
        return finished
    return study.tell(trial, score)


def _all_failed(study: Study) -> LswagError:
    return LswagError(f"all of the first {len(study.trials)} trials failed; the last: {study.trials[-1].error}")


def _score_function(proxy: str | ScoreFunction, seed: int, options: Mapping[str, Any]) -> ScoreFunction:
    if not isinstance(proxy, str):
        if options:
            raise InputError(f"score_options belong to a proxy given by name; found {sorted(options)} with a function")
        return proxy
    # The driver itself knows no score: this is the one place where the two meet.
    from lswag_fast.proxies import get_proxy
    from lswag_fast.scoring import score

    if get_proxy(proxy).parts:
        raise InputError(f"{proxy} is made of ranks among networks, which a search does not do; name another proxy")
    if not get_proxy(proxy).higher_is_better:
        raise InputError(f"lower is better for {proxy}, and a search looks for the highest score; pass a function")
    return lambda model, batch: score(model, batch, proxy=proxy, seed=seed, **options)


def candidate_builder(
    space: SearchSpace, weights: Mapping[str, torch.Tensor] | None, seed: int
) -> Callable[[Any], torch.nn.Module]:
    """Return what builds a candidate.

    It cuts `weights`, or the space's shared weights drawn here from `seed`, or draws fresh ones from `seed` each time
    (torch's generator is left as it was).
    """
    if weights is None and isinstance(space, SharesWeights):
        weights = space.init_weights(seed)
    if weights is not None:
        return lambda arch: space.build(arch, weights)

    def build_fresh(arch: Any) -> torch.nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return space.build(arch)

    return build_fresh


def _study_settings(study: Study) -> dict[str, Any]:
    sampler = study.sampler
    return {
        "space": study.space.name,
        "input_shape": list(study.space.input_shape),
        "num_classes": study.space.num_classes,
        "budget": study.budget.to_dict(),
        "sampler": {"name": sampler.name, **(asdict(sampler) if is_dataclass(sampler) else {})},
        "seed": study.seed,
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a score; `unknown` where none is installed."""
    found = {"python": platform.python_version()}
    for package in _VERSIONED_PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "unknown"
    return found
