"""`search()`: score architectures of a space and keep the best."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any

import torch

from lswag_fast.errors import InputError, LswagWarning, StorageError
from lswag_fast.execution import Interrupts, WorkerProcesses
from lswag_fast.libra.ranks import Aggregate, check_aggregate, check_weights
from lswag_fast.option_checks import check_count, check_names
from lswag_fast.options import Initialisation, ScoreOptions
from lswag_fast.proxies import get_proxy
from lswag_fast.score_job import Mode, ScoreFunction, ScoreJob
from lswag_fast.spaces import SearchSpace, Supernets, check_space
from lswag_fast.study.budget import Budget
from lswag_fast.study.loop import Callback, run_study
from lswag_fast.study.objective import Objective
from lswag_fast.study.samplers import Sampler, get_sampler
from lswag_fast.study.storage import Storage, get_storage
from lswag_fast.study.stored import SearchResult, read_settings
from lswag_fast.study.study import Study

N_FINALISTS = 20
"""The best of a search at the fidelity "fast" that are scored exactly before one of them is named the best."""


def search(
    space: SearchSpace,
    batch: Any,
    *,
    proxy: str | Sequence[str] | ScoreFunction = "lswag",
    combine: Aggregate | None = None,
    rank_weights: Sequence[float] | None = None,
    budget: Budget | None = None,
    n_trials: int,
    sampler: str | Sampler = "evolution",
    seed: int = 0,
    storage: Storage | str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    callbacks: Sequence[Callback] = (),
    started: Callback | None = None,
    rescored: Callback | None = None,
    weights: Mapping[str, torch.Tensor] | None = None,
    options: ScoreOptions | None = None,
    mode: Mode | None = None,
    init: Initialisation | None = None,
    metadata: Mapping[str, Any] | None = None,
    n_threads: int | None = None,
    repeats: Sequence[Any] = (),
    interrupts: Interrupts | None = None,
    keep_isomorphic: bool = False,
) -> SearchResult:
    """Score `n_trials` architectures of `space` and return them with the best one.

    All candidates are built from slices of one set of supernet weights, drawn once from `seed` where the space has
    `init_weights`; else each is built with fresh weights from the same seed. All are scored on the same batch: scores
    compare only at the same batch, batch size and options.

    L-SWAG and ZiCo are taken at the fidelity "fast" where nothing is said (`options`): of the gradients of 8 samples,
    or of 4 where only L-SWAG reads them, for less than half of the price. Other proxies of such gradients rank in
    another order then, and are exact. At the end of a fast search the 20 best by these scores, the finalists, are
    scored exactly, each with all samples, and the best of them is the best of the search. Both scores are stored; with
    several proxies the exact ones combine ranks among the finalists.

    With a folder the search survives anything: called again with the same arguments it resumes where it was, and ends
    with the study that an uninterrupted run gives. A finished one is left as it is; a larger `n_trials` adds to it.

    A candidate whose score raises an exception is recorded as failed, with the reason, and never ranked. Ctrl-C and
    SIGTERM end the search after the candidates that are running; the result then says `stopped="interrupted"`. A second
    one ends it at once, with a `KeyboardInterrupt`; what was told is stored all the same. (Signals are left to whoever
    handles them otherwise, and reach the main thread only.)

    Args:
        space: the search space.
        batch: `(inputs, targets)` as `score` takes it, in the shapes that the space's models want.
        proxy: name of a proxy for `lswag_fast.score`; several names, which are combined by rank; or a function
            `(model, batch) -> float`, higher is better.
        combine: how several proxies become one score, as `rank_aggregate` defines it among all candidates seen:
            "log_rank" (the default), "mean_rank", "rank_sum" or "product".
        rank_weights: how much the logarithm of each one's rank counts in "log_rank", as `Libra(rule="weights")` finds
            it, below 0 where a proxy counts against; None for all alike.
        budget: what an architecture may cost; None for no limit.
        n_trials: how many architectures to score in total, those of earlier runs in the folder too; at least 1.
        sampler: `"evolution"` (AutoFormer's), `"steady_state"` and `"prune"` (xi-GSNR's), `"random"`, or a `Sampler`.
        seed: of the proposals, the weights and the score.
        storage: folder for the study, new or to be continued, on a local disk; `trials.csv` (one row per trial) and
            `result.json` are written into it when the search ends.
        executor: where candidates are scored: None for this process, or as of `lswag_fast.execution`. The study
            does not depend on it, nor on the number of workers.
        callbacks: called as `callback(study, trial)` after each trial.
        started: called as `started(study, trial)` when a candidate is handed out to be scored.
        rescored: called as `rescored(study, trial)` after each exact score of a finalist.
        weights: supernet weights to slice instead of drawn ones, a trained checkpoint say.
        options: of the score, only with proxies given by name; its seed is `seed`, whatever it says. `fidelity` None
            means that of the study which is continued; in a new one "fast", but "exact" where that gives the same
            values (proxies without gradients of single samples, a batch that is no larger, `gradient_samples`) or
            another option does not allow it (a list of batches, micro-batches that do not divide these samples).
        mode: "train" or "eval", the mode of the networks; None leaves them as the space builds them.
        init: the weights of the networks, as `ScoreOptions.init`, also with a function; None for what `options` say.
        metadata: recorded with the settings, JSON values: where the data came from, say.
        n_threads: threads of torch for each candidate; None for torch's present number. It is part of the study.
        repeats: further batches, two or more: at the end the ten best are scored exactly with each, with weights of the
            seeds that follow `seed`, and `SearchResult.rank_intervals` says which of them these can tell apart. Not
            with a function. The order of the trials is left as it is. Other batches than those of an earlier run in the
            folder replace its repeats.
        interrupts: what tells the search to stop early; None for its own, after which a SIGTERM takes its usual effect
            once the result is stored.
        keep_isomorphic: score also architectures that are the same function as an earlier one, where the space tells
            (`TellsIsomorphic`); else they are left out, and the result says how often that was (`n_isomorphic`).

    Raises:
        SpaceError: the space is none.
        InputError: an argument cannot be used, or the first score refuses the batch or an option.
        BudgetError: no architecture of the space meets the budget.
        StorageError: the folder holds something else or a study with other settings (the difference is shown),
            another process writes it, or it cannot be written.
        LswagError: the first trials (10, or all of fewer), or more than half of the last 100, failed; names the last.

    Example:
        >>> from lswag_fast import data, spaces
        >>> choices = {"embed_dim": (16, 32), "depth": (1, 2, 3), "num_heads": (1, 2), "mlp_ratio": (1, 2)}
        >>> space = spaces.AutoFormer(**choices, image_size=8, patch_size=4, num_classes=10)
        >>> batch = data.load("digits", batch_size=16, image_size=8).batch
        >>> result = search(space, batch, budget=Budget(params="..40K"), n_trials=3, sampler="random")
        >>> result.stopped, len(result.trials), result.best.n_params <= 40_000
        ('finished', 3, True)
    """
    check_count("n_trials", n_trials, 1)
    if not isinstance(callbacks, Iterable):
        raise InputError(f"callbacks must be a list of functions, got {callbacks!r}")
    sampler = get_sampler(sampler)
    if getattr(sampler, "searches_supernets", False):
        check_space(space)
        space = Supernets(space)
    objective, function = _objective(proxy, combine, rank_weights, options)
    if len(repeats) == 1 or (repeats and function is not None):
        raise InputError("repeats are two batches or more, for proxies given by name")
    chosen = options or ScoreOptions()
    job = ScoreJob(
        space,
        batch,
        () if function else objective.proxies,
        function,
        mode=mode,
        seed=seed,
        n_threads=n_threads or torch.get_num_threads(),
        options=chosen if init is None else replace(chosen, init=init),
        weights=weights,
    ).at_fidelity(stored_options(storage))
    job.check_batch()
    if isinstance(executor, WorkerProcesses):
        executor.send(job)  # refuses what cannot be sent before a study is begun
    study = Study(
        space,
        sampler,
        storage,
        seed,
        budget,
        objective=objective,
        n_finalists=N_FINALISTS if job.options.fidelity == "fast" else 0,
        scoring=job.settings(),
        metadata=metadata,
        latency=job.latency_ms,
        keep_isomorphic=keep_isomorphic,
    )
    profile = None if function else job.profile
    repeat_job = job.repeated(repeats) if repeats else None
    with nullcontext(interrupts) if interrupts else Interrupts.passed_on() as interrupts, study:
        run_study(
            study,
            job,
            n_trials,
            executor=executor,
            callbacks=callbacks,
            started=started,
            profile=profile,
            repeat_job=repeat_job,
            exact_job=job.exact,
            rescored=rescored,
            interrupts=interrupts,
        )
        return study.result()


def stored_options(storage: Storage | str | os.PathLike[str] | None) -> Mapping[str, Any] | None:
    """Return the options of the scores in the study that a storage holds; None where there is no such study.

    A study that cannot be read has none here either: whoever opens it says why.
    """
    storage = get_storage(storage)
    if not storage.has_study():
        return None
    with warnings.catch_warnings(), suppress(StorageError):
        warnings.simplefilter("ignore", LswagWarning)  # comes once more when the study is opened
        settings = read_settings(storage)
        if settings is not None:
            return settings.scoring.options
    return None


def _objective(
    proxy: str | Sequence[str] | ScoreFunction,
    combine: Aggregate | None,
    rank_weights: Sequence[float] | None,
    options: ScoreOptions | None,
) -> tuple[Objective, ScoreFunction | None]:
    """Return what is maximised, and the function if one scores."""
    if callable(proxy):
        if options is not None and options.changed():
            given = ", ".join(options.changed())
            raise InputError(f"options are for proxies given by name; found {given} with a function")
        return Objective(), proxy
    names = (proxy,) if isinstance(proxy, str) else proxy
    check_names("proxy", names)
    infos = [get_proxy(name) for name in names]
    if len(infos) == 1 and infos[0].parts:
        combine, infos = combine or infos[0].aggregate, [get_proxy(part) for part in infos[0].parts]
    for info in infos:
        if info.parts:
            raise InputError(f"{info.name} is made of ranks itself; name its parts: {', '.join(info.parts)}")
    lower = tuple(info.name for info in infos if not info.higher_is_better)
    found, combine = tuple(info.name for info in infos), combine or "log_rank"
    check_aggregate("combine", combine)
    check_weights(rank_weights, found, combine)
    weights = None if rank_weights is None else tuple(map(float, rank_weights))
    return Objective(found, combine, lower, weights), None
