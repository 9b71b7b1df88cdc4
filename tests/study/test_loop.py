"""The loop of a search: what becomes of failures, when it stops, what it leaves, in which order it tells."""

from __future__ import annotations

import csv
import json
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lswag_fast.errors import ExecutorError, InputError, LswagError, NonFiniteGradientError
from lswag_fast.execution import Interrupts
from lswag_fast.study.loop import FAILURES_BEFORE_STOP, run_study
from lswag_fast.study.storage import SQLiteStorage
from lswag_fast.study.stored import SearchResult, read_study
from lswag_fast.study.study import Study
from study.toy_space import ToySpace

Job = Callable[[str], float]


def total_width(text: str) -> float:
    return float(sum(json.loads(text)["widths"]))


def run(
    job: Job = total_width,
    n_trials: int = 60,
    *,
    space: ToySpace | None = None,
    sampler: str = "evolution",
    storage: Path | None = None,
    n_finalists: int = 0,
    **options: Any,
) -> SearchResult:
    with Study(space or ToySpace(), sampler, storage, n_finalists=n_finalists) as study:
        run_study(study, job, n_trials, **options)
        return study.result()


def fails_when(condition: Callable[[float], bool], error: Exception) -> Job:
    def job(text: str) -> float:
        if condition(total_width(text)):
            raise error
        return total_width(text)

    return job


def n_rows(folder: Path) -> int:
    with (folder / "trials.csv").open(newline="") as file:
        return len(list(csv.DictReader(file)))


def test_failing_trials_are_recorded_and_never_ranked(tmp_path: Path) -> None:
    # What is widest fails: it would win if it were ranked.
    job = fails_when(lambda width: width > 30, NonFiniteGradientError("layer 0: 3 of 8 gradients\nare NaN"))
    result = run(job, storage=tmp_path)
    failed = [trial for trial in result.trials if trial.state == "failed"]
    assert failed
    assert result.best is not None
    assert result.best.score == 30
    assert failed[0].error == "NonFiniteGradientError: layer 0: 3 of 8 gradients are NaN"
    assert n_rows(tmp_path) == 60
    assert result.to_dict()["counts"]["failed"] == len(failed)


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), KeyError("bug"), ZeroDivisionError("no")])
def test_any_exception_is_a_failed_trial(error: Exception, tmp_path: Path) -> None:
    result = run(fails_when(lambda width: width > 30, error), storage=tmp_path)
    assert result.stopped == "finished"
    assert {type(error).__name__ in trial.error for trial in result.trials if trial.state == "failed"} == {True}
    results = SQLiteStorage(tmp_path).read()["result"].values()
    assert all("in job" in row[-1] for row in results if row[0] == "failed")


def test_a_long_error_is_kept_short_and_readable_everywhere(tmp_path: Path) -> None:
    long = RuntimeError("begin\x1b[1m" + "\U0001f600\udc80" * 500_000 + " end")
    result = run(fails_when(lambda width: width > 30, long), storage=tmp_path)
    failed = [trial for trial in result.trials if trial.state == "failed"]
    assert failed
    for trial in failed:
        assert trial.error.startswith("RuntimeError: begin\\x1b[1m")
        assert trial.error.endswith(" end")
        assert len(trial.error.encode()) <= 4096
    records = SQLiteStorage(tmp_path).read()
    assert all(
        len(str(value)) < 10_000 for value in [*records["result"].values(), *records.get("failure", {}).values()]
    )
    assert n_rows(tmp_path) == 60  # csv refuses fields above 128 kB


def test_an_error_whose_text_fails_is_a_failed_trial() -> None:
    class EvilError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    result = run(fails_when(lambda width: width > 30, EvilError()))
    assert {trial.error for trial in result.trials if trial.state == "failed"} == {"EvilError: an error without a text"}


def test_each_trial_is_told_to_whoever_asked_when_it_starts() -> None:
    seen: list[tuple[str, int]] = []
    run(
        n_trials=3,
        started=lambda study, trial: seen.append(("started", trial.number)),
        callbacks=[lambda study, trial: seen.append(("told", trial.number))],
    )
    assert seen == [(what, number) for number in range(3) for what in ("started", "told")]


def test_stops_when_most_of_the_latest_trials_fail(tmp_path: Path) -> None:
    narrow = fails_when(lambda width: width < 29, RuntimeError("narrow"))
    for _ in range(2):  # continuing does not wait for another hundred
        with pytest.raises(LswagError, match=r"\d\d of the last 100 trials failed.*the last: RuntimeError: narrow"):
            run(narrow, n_trials=500, sampler="random", storage=tmp_path)
        stored = read_study(tmp_path)
        assert (stored.status, len(stored.trials) < 110) == ("failed", True)


def test_stops_when_all_of_the_first_trials_fail(tmp_path: Path) -> None:
    broken = fails_when(lambda width: True, RuntimeError("no kernel"))
    with pytest.raises(LswagError, match=f"all of the first {FAILURES_BEFORE_STOP} trials failed.*no kernel"):
        run(broken, storage=tmp_path)
    assert len(read_study(tmp_path).trials) == FAILURES_BEFORE_STOP
    with pytest.raises(LswagError, match="first 3 trials"):
        run(broken, n_trials=3)
    with pytest.raises(LswagError, match="first 2 trials"):
        run(broken, space=ToySpace(1, 2))


@pytest.mark.parametrize(("n_trials", "limit"), [(5, 99), (100, 29)])
def test_a_search_that_failed_at_its_last_trial_ends_so_again(n_trials: int, limit: int, tmp_path: Path) -> None:
    failing = fails_when(lambda width: width < limit, RuntimeError("narrow"))
    said = []
    for _ in range(2):
        with pytest.raises(LswagError, match="trials failed") as caught:
            run(failing, n_trials, sampler="random", storage=tmp_path)
        said.append(str(caught.value))
        assert read_study(tmp_path).status == "failed"
        assert not (tmp_path / "result.json").exists()
    assert said[0] == said[1]


def test_a_refused_argument_stops_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="batch of 1"):
        run(fails_when(lambda width: True, InputError("batch of 1")), storage=tmp_path)
    assert read_study(tmp_path).trials == ()
    assert len(run(storage=tmp_path).trials) == 60  # the mistake corrected, the same folder serves


def test_an_executor_that_is_lost_stops_at_once_and_leaves_the_trial_untold(tmp_path: Path) -> None:
    calls = iter(range(60))
    with pytest.raises(ExecutorError, match="gone"):
        run(fails_when(lambda width: next(calls) == 5, ExecutorError("gone")), storage=tmp_path)
    assert [trial.state for trial in read_study(tmp_path).trials] == ["complete"] * 5
    assert [trial.arch_json for trial in run(storage=tmp_path).trials] == [trial.arch_json for trial in run().trials]


def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    asked: list[str] = []

    def job(text: str) -> float:
        asked.append(text)
        return total_width(text)

    first = run(job, storage=tmp_path)
    before = {name: (tmp_path / name).stat() for name in ("trials.csv", "result.json")}
    again = run(job, n_trials=40, storage=tmp_path)
    assert (again.trials, again.stopped, again.n_trials_wanted) == (first.trials, "finished", 60)
    assert len(asked) == 60
    assert {name: (tmp_path / name).stat() for name in ("trials.csv", "result.json")} == before


def test_n_trials_is_the_total_and_a_longer_run_equals_one_go(tmp_path: Path) -> None:
    for n_trials in (1, 7, 60, 130):
        result = run(storage=tmp_path / "steps", n_trials=n_trials)
        assert len(result.trials) == n_trials
    whole = run(n_trials=130)
    assert [(t.arch_json, t.score, t.origin) for t in result.trials] == [
        (t.arch_json, t.score, t.origin) for t in whole.trials
    ]
    assert json.loads((tmp_path / "steps" / "result.json").read_text())["n_trials_wanted"] == 130


def test_an_exhausted_space_says_so_and_is_left_as_it_is(tmp_path: Path) -> None:
    for _ in range(2):
        result = run(space=ToySpace(1, 8), storage=tmp_path)
        assert result.best is not None
        assert (result.stopped, len(result.trials), result.best.score) == ("exhausted", 8, 8.0)


def test_ctrl_c_keeps_what_is_there(tmp_path: Path) -> None:
    def interrupt(study: Study, trial: Any) -> None:
        if trial.number == 6:
            raise KeyboardInterrupt

    result = run(storage=tmp_path, callbacks=[interrupt])
    assert result.stopped == "interrupted"
    assert len(result.trials) == n_rows(tmp_path) == 7
    assert json.loads((tmp_path / "result.json").read_text())["stopped"] == "interrupted"


def test_ctrl_c_inside_a_job_drops_the_trial_in_flight() -> None:
    seen: list[str] = []

    def job(text: str) -> float:
        seen.append(text)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return 1.0

    assert len(run(job).trials) == 2


def test_a_signal_ends_it_after_the_trials_that_run_and_a_second_one_at_once(tmp_path: Path) -> None:
    interrupts = Interrupts()

    def first(study: Study, trial: Any) -> None:
        if trial.number == 4:
            interrupts.received = signal.SIGTERM

    result = run(storage=tmp_path, callbacks=[first], interrupts=interrupts)
    assert (result.stopped, len(result.trials)) == ("interrupted", 5)
    second = Interrupts()

    def again(study: Study, trial: Any) -> None:
        second.received = signal.SIGINT
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(storage=tmp_path, callbacks=[again], interrupts=second)
    assert (read_study(tmp_path).status, len(read_study(tmp_path).trials)) == ("interrupted", 6)


def test_callbacks_see_each_finished_trial_in_order_however_many_run_at_once() -> None:
    def slow_first(text: str) -> float:
        time.sleep(0.02 / total_width(text))
        return total_width(text)

    seen: list[tuple[int, str]] = []
    with ThreadPoolExecutor(3) as threads:
        run(
            slow_first,
            n_trials=12,
            executor=threads,
            callbacks=[lambda study, trial: seen.append((trial.number, trial.state))],
        )
    assert seen == [(number, "complete") for number in range(12)]


def test_the_profile_of_the_best_is_stored_and_may_fail(tmp_path: Path) -> None:
    result = run(n_trials=5, storage=tmp_path, profile=lambda arch: {"layers": [arch["widths"]], "coverage": 0.5})
    assert result.best is not None
    assert (result.profile, result.profile_trial) == ([result.best.arch["widths"]], result.best.number)
    assert result.profile_coverage == 0.5

    def refuse(arch: Any) -> dict[str, Any]:
        raise RuntimeError("no picture")

    result = run(n_trials=6, profile=refuse)
    assert (result.stopped, result.profile) == ("finished", None)


def narrowest_first(text: str) -> float:
    """An exact score that turns the order of `total_width` round."""
    return 100 - total_width(text)


def exact_outcome(result: SearchResult) -> list[tuple[Any, ...]]:
    return [(t.number, t.score, t.exact_score, t.exact_error) for t in result.trials]


def test_the_best_of_the_finalists_is_the_best(tmp_path: Path) -> None:
    seen: list[int] = []
    result = run(
        storage=tmp_path,
        n_finalists=5,
        exact_job=narrowest_first,
        rescored=lambda study, trial: seen.append(trial.number),
    )
    by_width = sorted(result.trials, key=lambda trial: (-(trial.score or 0), trial.number))
    assert seen == [trial.number for trial in by_width[:5]] == [trial.number for trial in result.finalists]
    assert [t.exact_score for t in by_width] == [100 - (t.score or 0) for t in by_width[:5]] + [None] * 55
    assert result.best == max(by_width[:5], key=lambda trial: trial.exact_score or 0)
    assert [t.number for t in result.top(60)[5:]] == [t.number for t in by_width[5:]]
    assert [(t.arch_json, t.score) for t in result.trials] == [(t.arch_json, t.score) for t in run().trials]
    assert read_study(tmp_path).top() == result.top()
    assert json.loads((tmp_path / "result.json").read_text())["best"][0]["number"] == result.best.number
    with (tmp_path / "trials.csv").open(newline="") as file:
        assert {row["exact_score"] for row in csv.DictReader(file)} == {"", *(str(t.exact_score) for t in by_width[:5])}


@pytest.mark.parametrize("n_before", range(5))
def test_a_search_that_is_cut_among_its_finalists_ends_as_one_in_one_go(tmp_path: Path, n_before: int) -> None:
    scored: list[str] = []

    def job(text: str) -> float:
        if len(scored) == n_before:
            raise KeyboardInterrupt
        scored.append(text)
        return narrowest_first(text)

    result = run(storage=tmp_path, n_finalists=5, exact_job=job)
    assert (result.stopped, len(result.trials), result.trials[0].exact_score) == ("interrupted", 60, None)
    assert [t.number for t in result.top()] == [t.number for t in run().top()]  # none is the best by some of them
    n_before = -1
    assert exact_outcome(run(storage=tmp_path, n_finalists=5, exact_job=job)) == exact_outcome(
        run(n_finalists=5, exact_job=narrowest_first)
    )
    assert len(scored) == 5  # none twice


def test_finalists_do_not_change_what_a_longer_search_finds(tmp_path: Path) -> None:
    for n_trials in (20, 60, 130):
        result = run(storage=tmp_path, n_trials=n_trials, n_finalists=5, exact_job=narrowest_first)
    assert exact_outcome(result) == exact_outcome(run(n_trials=130, n_finalists=5, exact_job=narrowest_first))


def test_a_signal_among_the_finalists_ends_the_search_after_the_one_that_runs(tmp_path: Path) -> None:
    interrupts = Interrupts()

    def stop(study: Study, trial: Any) -> None:
        interrupts.received = signal.SIGTERM

    options: dict[str, Any] = {"storage": tmp_path, "n_finalists": 5, "exact_job": narrowest_first}
    result = run(rescored=stop, interrupts=interrupts, **options)
    assert (result.stopped, sum(t.is_settled for t in result.trials)) == ("interrupted", 1)
    with pytest.raises(ExecutorError, match="gone"):
        run(**{**options, "exact_job": fails_when(lambda width: True, ExecutorError("gone"))})
    assert read_study(tmp_path).status == "failed"
    assert run(**options).stopped == "finished"


def test_a_finalist_without_an_exact_score_is_never_the_best() -> None:
    widest = max(total_width(trial.arch_json) for trial in run().trials)
    job = fails_when(lambda width: width == widest, NonFiniteGradientError("layer 0 is NaN"))
    result = run(n_finalists=5, exact_job=job)
    assert result.best is not None
    assert (result.best.score or 0) < widest
    failed = [trial for trial in result.finalists if trial.score == widest]
    assert {trial.exact_error for trial in failed} == {"NonFiniteGradientError: layer 0 is NaN"}
    assert {trial.exact_score for trial in failed} == {None}


class Repeats:
    """Scores twice by the total width, and fails for one of the best; counts how often it was called."""

    def __init__(self, *batches: str) -> None:
        self.batches = batches
        self.n_calls = 0

    def __call__(self, text: str) -> dict[str, list[float]]:
        self.n_calls += 1
        if self.n_calls == 3:
            raise LswagError("no value")
        return {"score": [total_width(text)] * 2}


def test_a_trial_that_fails_in_a_repeat_does_not_bring_the_repeats_again(tmp_path: Path) -> None:
    first, again, other = Repeats("a", "b"), Repeats("a", "b"), Repeats("a", "c")
    for repeats in (first, again, other):
        result = run(storage=tmp_path, repeat_job=repeats)
        assert result.repeats is not None
        numbers = [trial.number for trial in result.top()]
        assert list(result.repeats) == numbers[:2] + numbers[3:]
    assert (first.n_calls, again.n_calls, other.n_calls) == (10, 0, 10)
