"""`search()`: score architectures of a space and keep the best; a short loop over `Study`."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import nullcontext, suppress
from typing import Any

import torch

from lswag_fast.errors import ExecutorError, InputError, LswagError, PendingTrialsError, StorageError
from lswag_fast.execution import Interrupts, JobRunner, open_runner, run_in_order
from lswag_fast.libra.ranks import Aggregate
from lswag_fast.score_job import Candidates, ScoreFunction
from lswag_fast.spaces import SearchSpace
from lswag_fast.study.budget import Budget
from lswag_fast.study.candidate_pool import SpaceExhaustedError
from lswag_fast.study.failures import Failures
from lswag_fast.study.objective import Objective
from lswag_fast.study.samplers import Sampler
from lswag_fast.study.settings import ScoringSettings, fingerprint
from lswag_fast.study.storage import Storage
from lswag_fast.study.stored import SearchResult
from lswag_fast.study.study import Study
from lswag_fast.study.trial import Trial

FINISHED, EXHAUSTED, INTERRUPTED, STOPPED_BY_ERROR = "finished", "exhausted", "interrupted", "failed"

Callback = Callable[[Study, Trial], None]


def search(
    space: SearchSpace,
    batch: Any,
    *,
    proxy: str | Sequence[str] | ScoreFunction = "lswag",
    combine: Aggregate | None = None,
    budget: Budget | None = None,
    n_trials: int,
    sampler: str | Sampler = "evolution",
    seed: int = 0,
    storage: Storage | str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    callbacks: Sequence[Callback] = (),
    weights: Mapping[str, torch.Tensor] | None = None,
    score_options: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    n_threads: int | None = None,
    interrupts: Interrupts | None = None,
) -> SearchResult:
    """Score `n_trials` architectures of `space` and return them with the best one.

    All candidates are built from slices of one set of supernet weights, drawn once from `seed` where the space has
    `init_weights`; else each is built with fresh weights from the same seed. All are scored on the same batch: scores
    compare only at the same batch, batch size and options.

    With a folder the search survives anything: called again with the same arguments it goes on where it was, and ends
    with the study that an uninterrupted run gives. A finished one is left as it is; a larger `n_trials` adds to it.

    A candidate whose score raises an exception is recorded as failed, with the reason, and never ranked. Ctrl-C and
    SIGTERM end the search after the candidates that run; the result then says `stopped="interrupted"`. A second one
    ends it at once, with a `KeyboardInterrupt`; what was told is stored all the same. (Signals are left to whoever
    handles them otherwise, and reach the main thread only.)

    Args:
        space: the search space.
        batch: `(inputs, targets)` as `score` takes it, in the shapes that the space's models want.
        proxy: name of a proxy for `lswag_fast.score`; several names, which are combined by rank; or a function
            `(model, batch) -> float`, higher is better.
        combine: how several proxies become one score, as `rank_aggregate` defines it among all candidates seen:
            "log_rank" (the default), "mean_rank", "rank_sum" or "product".
        budget: what an architecture may cost; None for no limit.
        n_trials: how many architectures to score in total, those of earlier runs in the folder too; at least 1.
        sampler: `"evolution"` (AutoFormer's), `"steady_state"` (xi-GSNR's), `"random"`, or a `Sampler`.
        seed: of the proposals, the weights and the score.
        storage: folder for the study, new or to be continued, on a local disk; `trials.csv` (one row a trial) and
            `result.json` are written into it when the search ends.
        executor: where candidates are scored: None for this process, or as of `lswag_fast.execution`. The study
            does not depend on it, nor on the number of workers.
        callbacks: called as `callback(study, trial)` after each trial.
        weights: supernet weights to slice instead of drawn ones, a trained checkpoint say.
        score_options: further keywords of `lswag_fast.score`; only with proxies given by name.
        metadata: recorded with the settings, JSON values: where the data came from, say.
        n_threads: threads of torch for each candidate; None for torch's present number. It is part of the study.
        interrupts: what tells the search to stop early; None for its own, after which a SIGTERM takes its usual effect
            once the result is stored.

    Raises:
        InputError: an argument cannot be used, or the first score refuses the batch or an option.
        BudgetError: no architecture of the space meets the budget.
        StorageError: the folder holds something else or a study with other settings (the difference is shown),
            another process writes it, or it cannot be written.
        LswagError: the first trials (10, or all of fewer), or more than half of the last 100, failed; names the last.
    """
    if n_trials < 1:
        raise InputError(f"n_trials must be at least 1; found {n_trials}")
    objective, function = _objective(proxy, combine, score_options)
    candidates = Candidates(
        space,
        batch,
        () if function else objective.proxies,
        function,
        seed,
        n_threads or torch.get_num_threads(),
        dict(score_options or {}),
        weights,
    )
    study = Study(
        space,
        sampler,
        storage,
        seed,
        budget,
        objective=objective,
        scoring=_scoring_settings(candidates),
        metadata=metadata,
        latency=candidates.latency_ms,
    )
    with nullcontext(interrupts) if interrupts else Interrupts.passed_on() as interrupts, study:
        if not _is_done(study, n_trials):
            with open_runner(candidates, executor) as runner:
                _search(study, runner, candidates, n_trials, callbacks, interrupts)
        return study.result()


def _is_done(study: Study, n_trials: int) -> bool:
    """Whether an earlier run found all that there is to find, and was not killed while it wrote its files."""
    has_all = study.get_attr("status") == EXHAUSTED or study.n_told >= n_trials
    return has_all and study.get_attr("n_written") == study.n_told


def _search(
    study: Study,
    runner: JobRunner,
    candidates: Candidates,
    n_trials: int,
    callbacks: Sequence[Callback],
    interrupts: Interrupts,
) -> None:
    """Run the search to its end and leave the files of its result."""
    study.set_attr("n_trials", n_trials)
    try:
        stopped = _run(study, runner, n_trials, callbacks, interrupts)
        if stopped == INTERRUPTED:
            study.set_attr("status", stopped)  # before the rest, in the middle of which a second signal may come
    except BaseException as error:
        with suppress(StorageError):  # which may be the very reason
            study.set_attr("status", INTERRUPTED if isinstance(error, KeyboardInterrupt) else STOPPED_BY_ERROR)
        raise
    best = study.best
    if best is not None and candidates.function is None:
        with suppress(LswagError, RuntimeError):  # a picture of the best, which not every network gives
            study.set_attr("profile", {"trial": best.number, "layers": candidates.profile(best.arch)})
    study.set_attr("status", stopped)
    study.write_files(study.result().to_dict())
    study.set_attr("n_written", study.n_told)


def _run(study: Study, runner: JobRunner, n_trials: int, callbacks: Sequence[Callback], interrupts: Interrupts) -> str:
    """Ask, evaluate and tell until done; return why it ended.

    Trials are told in the order of their numbers however many run at once, so that all that follows from a result (the
    end of a failing search, what a callback sees) is the same for any number of workers.
    """
    failures = Failures(study, n_trials)
    try:
        while study.n_told < n_trials and interrupts.received is None:
            for trial, future in run_in_order(runner, _side_by_side(study, n_trials, interrupts)):
                finished = _tell(study, trial, future)
                failures.add(finished)
                for callback in callbacks:
                    callback(study, finished)
    except SpaceExhaustedError:
        failures.refuse_all_failed()
        return EXHAUSTED
    except KeyboardInterrupt:
        if interrupts.received is not None:  # the second one: whoever made the executor shall not wait for it either
            raise
        return INTERRUPTED
    return FINISHED if study.n_told >= n_trials else INTERRUPTED


def _side_by_side(study: Study, n_trials: int, interrupts: Interrupts) -> Iterator[tuple[Trial, str]]:
    """Ask for trials that need not wait for each other, until a signal comes; no trial may be running when it begins.

    Raises:
        SpaceExhaustedError: there is not even one.
    """
    for place in range(n_trials - study.n_told):
        if interrupts.received is not None:
            return
        try:
            trial = study.ask()
        except (PendingTrialsError, SpaceExhaustedError):
            if place == 0:
                raise
            return  # those before are told first
        yield trial, trial.arch_json


def _tell(study: Study, trial: Trial, future: Future[Any]) -> Trial:
    error = future.exception()
    if error is None:
        return study.tell(trial, future.result())
    # Before the first score, a refused argument is the caller's mistake and would fail every candidate.
    if isinstance(error, ExecutorError) or (isinstance(error, InputError) and study.best is None):
        raise error
    text = "".join(traceback.format_exception(error))
    return study.tell(trial, error=f"{type(error).__name__}: {error}", traceback=text)


def _objective(
    proxy: str | Sequence[str] | ScoreFunction, combine: Aggregate | None, score_options: Mapping[str, Any] | None
) -> tuple[Objective, ScoreFunction | None]:
    """Return what is maximised, and the function if one scores."""
    if callable(proxy):
        if score_options:
            raise InputError(
                f"score_options belong to a proxy given by name; found {sorted(score_options)} with a function"
            )
        return Objective(), proxy
    # The driver itself knows no proxy: it is asked here once which way each points.
    from lswag_fast.proxies import get_proxy

    infos = [get_proxy(name) for name in ((proxy,) if isinstance(proxy, str) else proxy)]
    if len(infos) == 1 and infos[0].parts:
        combine, infos = combine or infos[0].aggregate, [get_proxy(part) for part in infos[0].parts]
    for info in infos:
        if info.parts:
            raise InputError(f"{info.name} is made of ranks itself; name its parts: {', '.join(info.parts)}")
    lower = tuple(info.name for info in infos if not info.higher_is_better)
    return Objective(tuple(info.name for info in infos), combine or "log_rank", lower), None


def _scoring_settings(candidates: Candidates) -> ScoringSettings:
    """What decides the values of a candidate, as JSON values."""
    from lswag_fast.kernels import isa_active

    function, weights = candidates.function, candidates.weights
    return ScoringSettings(
        function=None if function is None else str(_plain(function)),
        options={name: _plain(value) for name, value in candidates.score_options.items()},
        n_threads=candidates.n_threads,
        isa=isa_active(),
        batch_fingerprint=fingerprint(candidates.batch),
        weights_fingerprint=None if weights is None else fingerprint(weights),
    )


def _plain(value: Any) -> Any:
    if callable(value):
        return getattr(value, "__qualname__", type(value).__qualname__)
    return value
