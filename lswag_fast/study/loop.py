"""The loop of a search: ask a study, evaluate in order, tell it, and stop when there is a reason."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, Protocol

from lswag_fast.errors import ExecutorError, InputError, LswagError, PendingTrialsError, StorageError
from lswag_fast.execution import Interrupts, Job, JobRunner, open_runner, run_in_order
from lswag_fast.study.candidate_pool import SpaceExhaustedError
from lswag_fast.study.study import Study
from lswag_fast.study.trial import FAILED, FINISHED, Trial

ALL_TOLD, EXHAUSTED, INTERRUPTED, STOPPED_BY_ERROR = "finished", "exhausted", "interrupted", "failed"
"""Why a loop ended: the values of the attribute `status`."""

# A search whose first trials all fail has a mistake in its settings, not bad luck: it stops there.
FAILURES_BEFORE_STOP = 10
# So does one in which, of the latest trials, more than this part failed.
FAILURE_WINDOW = 100
MAX_FAILURE_RATE = 0.5

Callback = Callable[[Study, Trial], None]
Profile = Callable[[Any], Mapping[str, Any]]


class RepeatJob(Protocol):
    """Scores an architecture several times: its text -> {proxy: its value in each repeat}."""

    @property
    def batches(self) -> Sequence[str]:
        """What tells the batches of the repeats from others, in their order."""
        ...

    def __call__(self, arch_json: str, /) -> Mapping[str, Sequence[float]]:
        """Return the values; raises whatever keeps a repeat from having one."""
        ...


def run_study(
    study: Study,
    job: Job,
    n_trials: int,
    *,
    executor: Executor | None = None,
    callbacks: Sequence[Callback] = (),
    started: Callback | None = None,
    profile: Profile | None = None,
    repeat_job: RepeatJob | None = None,
    exact_job: Job | None = None,
    rescored: Callback | None = None,
    interrupts: Interrupts | None = None,
) -> None:
    """Run a study until it has `n_trials` trials, the space is exhausted, or a signal comes; then write its files.

    Before that the finalists of the study, if it has any, are scored once more, by `exact_job`. A study that has all
    that already, and whose files are written, is left as it is. The attribute `status` of the study says afterwards why
    it ended.

    Args:
        study: the study, new or continued.
        job: an architecture's text -> its score, or {proxy: value}, as `Study.tell` takes it. What it raises makes the
            trial failed.
        n_trials: trials in total, those of earlier runs too.
        executor: where the job runs; None for this process.
        callbacks: called as `callback(study, trial)` after each trial.
        started: called as `started(study, trial)` when a trial is handed out to be scored.
        profile: an architecture -> what is stored of the best one's network: its "layers" and "coverage"; None stores
            nothing. It may raise a LswagError or RuntimeError for a network that gives no such picture.
        repeat_job: for the best trials at the end; repeats of other batches, stored by an earlier run, are replaced.
            None for no further repeats.
        exact_job: as `job`, for the finalists; a study without finalists needs none.
        rescored: called as `rescored(study, trial)` after each exact score of a finalist.
        interrupts: what tells the loop to stop early; None for its own, after which a SIGTERM has its usual effect.

    Raises:
        InputError: the first score refuses an argument, which would fail every trial.
        ExecutorError: the executor cannot start or reach its processes.
        StorageError: the study cannot be stored.
        LswagError: the first trials (10, or all of fewer), or more than half of the last 100, failed; names the last.

    Example:
        >>> from lswag_fast import Study, spaces
        >>> study = Study(spaces.NasBench201(), "random", seed=0)
        >>> run_study(study, lambda text: text.count("nor_conv_3x3"), 4)
        >>> study.n_told, study.get_attr("status"), study.best.score == max(trial.score for trial in study.trials)
        (4, 'finished', True)
    """
    if _is_done(study, n_trials) and (repeat_job is None or _is_repeated(study, repeat_job)):
        return
    with (
        nullcontext(interrupts) if interrupts else Interrupts.passed_on() as interrupts,
        open_runner(job, executor) as runner,
    ):
        study.set_attr("n_trials", n_trials)
        with _marked_when_cut(study):
            stopped = _run(study, runner, n_trials, callbacks, started, interrupts)
            if stopped != INTERRUPTED and exact_job is not None and study.unsettled():
                with open_runner(exact_job, executor) as exact_runner:
                    stopped = _settle(study, exact_runner, rescored, interrupts) or stopped
            if stopped != INTERRUPTED and repeat_job is not None and not _is_repeated(study, repeat_job):
                with open_runner(repeat_job, executor) as repeat_runner:
                    stopped = _repeat(study, repeat_runner, repeat_job, interrupts) or stopped
            if stopped == INTERRUPTED:
                study.set_attr("status", stopped)  # before the rest, in the middle of which a second signal may come
        _finish(study, stopped, profile)


def _is_done(study: Study, n_trials: int) -> bool:
    """Whether an earlier run found all that there is to find, and was not killed while it wrote its files."""
    has_all = (study.get_attr("status") == EXHAUSTED or study.n_told >= n_trials) and not study.unsettled()
    return has_all and study.get_attr("n_written") == study.n_told


@contextmanager
def _marked_when_cut(study: Study) -> Iterator[None]:
    """Store why the block ended early."""
    try:
        yield
    except BaseException as error:
        with suppress(StorageError):  # which may be the very reason
            study.set_attr("status", INTERRUPTED if isinstance(error, KeyboardInterrupt) else STOPPED_BY_ERROR)
        raise


def _finish(study: Study, stopped: str, profile: Profile | None) -> None:
    """Leave the files of the result."""
    best = study.best
    if best is not None and profile is not None:
        with suppress(LswagError, RuntimeError):  # a picture of the best, which not every network gives
            study.set_attr("profile", {"trial": best.number, **profile(best.arch)})
    study.set_attr("status", stopped)
    study.write_files(study.result().to_dict())
    study.set_attr("n_written", study.n_told)


def _run(
    study: Study,
    runner: JobRunner,
    n_trials: int,
    callbacks: Sequence[Callback],
    started: Callback | None,
    interrupts: Interrupts,
) -> str:
    """Ask, evaluate and tell until done; return why it ended.

    Trials are told in the order of their numbers however many run at once, so that all that follows from a result (the
    end of a failing search, what a callback sees) is the same for any number of workers.
    """
    failures = _Failures(study, n_trials)
    if study.n_told >= n_trials:
        failures.refuse_too_many()  # as the run did that told the last of them
    try:
        while study.n_told < n_trials and interrupts.received is None:
            for trial, future in run_in_order(runner, _independent_trials(study, n_trials, started, interrupts)):
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
    return ALL_TOLD if study.n_told >= n_trials else INTERRUPTED


def _settle(study: Study, runner: JobRunner, rescored: Callback | None, interrupts: Interrupts) -> str | None:
    """Score the finalists exactly, the best first; return `INTERRUPTED` if a signal ended it before the last."""

    def work() -> Iterator[tuple[Trial, str]]:
        for trial in study.unsettled():
            if interrupts.received is not None:
                return
            yield trial, trial.arch_json

    try:
        for trial, future in run_in_order(runner, work()):
            study.tell_exact(trial, **_told(future))
            if rescored is not None:
                rescored(study, trial)
    except KeyboardInterrupt:
        if interrupts.received is not None:
            raise
        return INTERRUPTED
    return INTERRUPTED if study.unsettled() else None


def _repeats_of(study: Study, job: RepeatJob) -> dict[str, Any]:
    """What repeats by this job are of, as it is stored beside them: the batches, and the best trials."""
    return {"batches": list(job.batches), "trials": [trial.number for trial in study.result().top()]}


def _is_repeated(study: Study, job: RepeatJob) -> bool:
    """Whether the repeats that are stored are those by this job, of just the best trials.

    A trial that failed in a repeat is not among the stored repeats, but was scored for them all the same. Of repeats
    that an earlier version stored nobody knows the batches.
    """
    return bool(study.get_attr("repeats_of") == _repeats_of(study, job))


def _repeat(study: Study, runner: JobRunner, job: RepeatJob, interrupts: Interrupts) -> str | None:
    """Score the best trials several times, and store it; return `INTERRUPTED` if a signal ended it before the last.

    A trial that fails in one repeat has none, and stands in no comparison.
    """
    best = study.result().top()

    def work() -> Iterator[tuple[Trial, str]]:
        for trial in best:
            if interrupts.received is not None:
                return
            yield trial, trial.arch_json

    found: dict[str, Any] = {}
    try:
        for trial, future in run_in_order(runner, work()):
            told = _told(future)
            found[str(trial.number)] = told.get("score")
    except KeyboardInterrupt:
        if interrupts.received is not None:
            raise
        return INTERRUPTED
    if len(found) < len(best):
        return INTERRUPTED
    study.set_attr("repeats_of", None)  # a run that is killed between the next two shall not take these for others
    study.set_attr("repeats", {number: values for number, values in found.items() if values is not None})
    study.set_attr("repeats_of", _repeats_of(study, job))
    return None


def _independent_trials(
    study: Study, n_trials: int, started: Callback | None, interrupts: Interrupts
) -> Iterator[tuple[Trial, str]]:
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
        if started is not None:
            started(study, trial)
        yield trial, trial.arch_json


def _tell(study: Study, trial: Trial, future: Future[Any]) -> Trial:
    # Before the first score, a refused argument is the caller's mistake and would fail every candidate.
    if isinstance(error := future.exception(), InputError) and study.best is None:
        raise error
    return study.tell(trial, **_told(future))


def _told(future: Future[Any]) -> dict[str, Any]:
    """What is told of a job that ended, as arguments of `tell`; raises ExecutorError where its place was lost."""
    error = future.exception()
    if error is None:
        return {"score": future.result()}
    if isinstance(error, ExecutorError):
        raise error
    text = "".join(traceback.format_exception(error))
    return {"error": f"{type(error).__name__}: {_text_of(error)}", "traceback": text}


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # of a class of the user's
        return "an error without a text"


class _Failures:
    """Counts failed trials, those of earlier runs of the study too.

    Args:
        study: the study.
        n_trials: trials wanted in total.
    """

    def __init__(self, study: Study, n_trials: int) -> None:
        told = [trial for trial in study.trials if trial.state in FINISHED]
        self._n_told = len(told)
        self._n_failed = sum(trial.state == FAILED for trial in told)
        self._latest = deque((trial.state == FAILED for trial in told), maxlen=FAILURE_WINDOW)
        self._error = next((trial.error for trial in reversed(told) if trial.error), "")
        self._n_enough = min(FAILURES_BEFORE_STOP, n_trials)

    def add(self, trial: Trial) -> None:
        """Count a finished trial.

        Raises:
            LswagError: too many have failed; names the last failure.
        """
        self._n_told += 1
        self._n_failed += trial.state == FAILED
        self._latest.append(trial.state == FAILED)
        self._error = trial.error or self._error
        self.refuse_too_many()

    def refuse_too_many(self) -> None:
        """Raise LswagError if more have failed than a search can use."""
        if self._n_told >= self._n_enough:
            self.refuse_all_failed()
        if len(self._latest) == FAILURE_WINDOW and sum(self._latest) > MAX_FAILURE_RATE * FAILURE_WINDOW:
            raise LswagError(
                f"{sum(self._latest)} of the last {FAILURE_WINDOW} trials failed, more than a search can use; "
                f"the last: {self._error}"
            )

    def refuse_all_failed(self) -> None:
        """Raise LswagError if no trial has a score."""
        if self._n_failed == self._n_told:
            raise LswagError(f"all of the first {self._n_told} trials failed; the last: {self._error}")
