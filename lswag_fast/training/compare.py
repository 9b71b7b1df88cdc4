"""Methods side by side: each searches one space under one budget, and what it found is trained and tested."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from lswag_fast.data.splits import ImageSplits
from lswag_fast.errors import InputError, StorageError
from lswag_fast.evaluation.rows import RowFile
from lswag_fast.execution import Interrupts
from lswag_fast.files.differences import differences
from lswag_fast.files.durable import aside_of
from lswag_fast.searching import search
from lswag_fast.spaces import SearchSpace
from lswag_fast.study.budget import Budget
from lswag_fast.study.candidate_pool import check_reachable
from lswag_fast.study.settings import SpaceSettings, fingerprint
from lswag_fast.study.storage import get_storage
from lswag_fast.study.stored import SearchResult, read_settings
from lswag_fast.study.trial import Trial
from lswag_fast.training.accuracy import Accuracy
from lswag_fast.training.inherited import INHERITED_ACCURACY, check_images, inherited_accuracy_job
from lswag_fast.training.loop.folder import names_in
from lswag_fast.training.methods import LIBRA, Method
from lswag_fast.training.scratch import Trainer

ROWS_FILE, FIGURE_FILE = "comparison.csv", "comparison.svg"
# What lies in the folder of a comparison that was killed while it began.
_BEFORE_ROWS = {f"{ROWS_FILE}.lock", f"{ROWS_FILE}.json"}
_BEFORE_ROWS |= {aside_of(Path(name)).name for name in (ROWS_FILE, f"{ROWS_FILE}.json")}
_COLUMNS = (
    "run", "method", "seed", "arch", "n_params", "n_macs", "n_trials", "search_s", "correct", "n_images",
    "test_accuracy", "test_accuracy_low", "test_accuracy_high",
)  # fmt: skip
Callback = Callable[[str, int, int], None]
"""`callback(what is done next, runs done, runs in all)`."""


@dataclass(frozen=True)
class Comparison:
    """What is the same for every method.

    Attributes:
        space: the space.
        images: split; scores see some of the training split, inherited accuracies the validation split, and only the
            trained winners the test split.
        budget: what an architecture may cost.
        n_trials: architectures that each method scores.
        batch_size: images that proxies see, drawn anew for each seed.
        weights: of a trained supernet; None where no method needs them.
        n_threads: of torch.
    """

    space: SearchSpace
    images: ImageSplits
    budget: Budget
    n_trials: int
    batch_size: int = 32
    weights: Mapping[str, Tensor] | None = None
    n_threads: int = 1

    def settings(self) -> dict[str, Any]:
        """Return what decides the rows, as JSON values."""
        return {
            "space": asdict(SpaceSettings.of(self.space)),
            "images": self.images.to_dict(),
            "budget": self.budget.to_dict(),
            "n_trials": self.n_trials,
            "batch_size": self.batch_size,
            "weights": None if self.weights is None else fingerprint(self.weights),
            "n_threads": self.n_threads,
        }


@dataclass(frozen=True)
class Summary:
    """What a method reached over its seeds.

    Attributes:
        n_params: mean number of parameters of what it found.
        search_s: mean seconds of a search.
        accuracy: mean test accuracy.
        lowest: the least lower end of the seeds' intervals of 95 %.
        highest: the largest upper end.
        n_seeds: how many.
    """

    n_params: float
    search_s: float
    accuracy: float
    lowest: float
    highest: float
    n_seeds: int


def compare(
    comparison: Comparison,
    methods: Sequence[Method],
    seeds: Sequence[int],
    train: Trainer,
    folder: str | os.PathLike[str],
    *,
    executor: Executor | None = None,
    interrupts: Interrupts | None = None,
    callback: Callback | None = None,
) -> bool:
    """Search by each method with each seed, train what it found, and append one row each to `comparison.csv`.

    The seeds come one after the other, so that a cut comparison has whole ones. FOLDER/METHOD-SEED/search holds the
    search, FOLDER/METHOD-SEED/train the training. Called again after a cut it continues inside of either; more seeds
    or methods add to it.

    Args:
        comparison: what is the same for all.
        methods: as of `chosen_methods`.
        seeds: each decides a search, its images, and the initial weights of the training.
        train: how the winners are trained; it measures them on the test split.
        folder: new, or one to continue.
        executor: where architectures are scored; None for this process. Times are only comparable where it is the same.
        interrupts: what tells it to stop; None for its own.
        callback: called before each search and each training, and at the end.

    Returns:
        Whether all is done; False after a signal.

    Raises:
        InputError: there are too few images for a batch, or they do not fit the space; `train` leaves the test split
            unseen.
        BudgetError: no architecture meets the budget.
        StorageError: the folder belongs to another comparison, has a row of LIBRA by another selection, holds something
            else, or cannot be written.
    """
    _check(comparison, methods)
    _refuse_foreign(Path(folder))
    settings = {**comparison.settings(), "training": dict(train.settings())}
    stored = json.loads(json.dumps(settings))
    rows = RowFile(Path(folder) / ROWS_FILE, _COLUMNS, stored, other="name another folder")
    runs = {f"{method.name}-{seed}": (method, seed) for seed in seeds for method in methods}
    say = callback or (lambda text, done, total: None)
    with closing(rows), nullcontext(interrupts) if interrupts else Interrupts.passed_on() as heard:
        for name, (method, _) in runs.items():
            if name in rows.done:
                _refuse_other_selection(method, Path(folder) / name / "search")
        for n_done, (name, (method, seed)) in enumerate(runs.items()):
            if name in rows.done:
                continue
            say(f"{method.label}, seed {seed}: searching", n_done, len(runs))
            found = _searched(comparison, method, seed, Path(folder) / name / "search", executor, heard)
            if heard.received is not None:
                return False
            best = found.best
            if best is None:  # as after a signal that came before the first score
                return False
            say(f"{method.label}, seed {seed}: training", n_done, len(runs))
            tested = train(best.arch, Path(folder) / name / "train", seed)
            if tested is None:
                return False
            if tested.test is None:
                raise InputError("train: leaves the test split unseen, on which a comparison judges")
            rows.add({"run": name, "method": method.name, "seed": seed, **_row(found, best, tested.test)})
    say("done", len(runs), len(runs))
    return True


def summary(rows: pd.DataFrame, methods: Sequence[Method]) -> dict[str, Summary]:
    """Return what each method reached, by its label, in the order given; those without a row are left out.

    Args:
        rows: of `comparison.csv`.
        methods: those to show.
    """
    found = {}
    for method in methods:
        own = rows[rows["method"] == method.name]
        if len(own):
            found[method.label] = Summary(
                float(own["n_params"].mean()),
                float(own["search_s"].mean()),
                float(own["test_accuracy"].mean()),
                float(own["test_accuracy_low"].min()),
                float(own["test_accuracy_high"].max()),
                len(own),
            )
    return found


def accuracies(rows: pd.DataFrame, methods: Sequence[Method]) -> dict[str, list[tuple[float, float, float]]]:
    """Return the test accuracies of each method's seeds with the ends of their intervals, by its label.

    Args:
        rows: of `comparison.csv`.
        methods: those to show.
    """
    names = ["test_accuracy", "test_accuracy_low", "test_accuracy_high"]
    return {
        method.label: [
            (a, low, high) for a, low, high in rows.loc[rows["method"] == method.name, names].to_numpy().tolist()
        ]
        for method in methods
    }


def _check(comparison: Comparison, methods: Sequence[Method]) -> None:
    """Refuse what would fail after hours, or only once there is a folder that keeps other settings out."""
    batch = comparison.images.train.drawn(comparison.batch_size, 0)
    check_images(comparison.space, batch, comparison.images.num_classes)
    if comparison.weights is None and any(method.name == INHERITED_ACCURACY for method in methods):
        raise InputError(f"the method {INHERITED_ACCURACY} needs the weights of a trained supernet")
    check_reachable(comparison.space, comparison.budget, seed=0)


def _refuse_foreign(folder: Path) -> None:
    """Refuse a folder that holds something else than a comparison; raises StorageError."""
    files = names_in(folder)
    if ROWS_FILE not in files and files - _BEFORE_ROWS:
        raise StorageError(f"{folder} is not empty and holds no comparison; name a new folder")


def _searched(
    comparison: Comparison,
    method: Method,
    seed: int,
    folder: Path,
    executor: Executor | None,
    interrupts: Interrupts,
) -> SearchResult:
    """The search of a method, new, continued or finished."""
    return search(
        comparison.space,
        **_scoring(comparison, method, seed),
        budget=comparison.budget,
        n_trials=method.n_trials or comparison.n_trials,
        sampler=method.sampler,
        seed=seed,
        storage=folder,
        executor=executor,
        n_threads=comparison.n_threads,
        interrupts=interrupts,
    )


def _refuse_other_selection(method: Method, folder: Path) -> None:
    """Refuse LIBRA by another selection than that whose row is there; raises StorageError.

    Args:
        method: any; only LIBRA may differ under the same name.
        folder: of its search. Without one, the row is all that was kept.
    """
    stored = read_settings(get_storage(folder)) if method.name == LIBRA and names_in(folder) else None
    if stored is None:
        return
    before, now = (
        {
            "members": list(each.proxies),
            "combine": each.combine,
            "weights": each.rank_weights and list(each.rank_weights),
        }
        for each in (stored.objective, method)
    )
    found = list(differences(before, now))
    if found:
        raise StorageError(
            f"{folder} was searched by another selection: {'; '.join(found)}; name that, or another folder"
        )


def _scoring(comparison: Comparison, method: Method, seed: int) -> dict[str, Any]:
    """What `search` is told of the scores of a method."""
    if method.proxies:
        batch = comparison.images.train.drawn(comparison.batch_size, seed)
        combined = {"combine": method.combine, "rank_weights": method.rank_weights}
        return {"batch": batch, "proxy": method.proxies, **combined}
    job = inherited_accuracy_job(comparison.space, comparison.weights or {}, comparison.images)
    return {"batch": job.batch, "proxy": job.function, "weights": job.weights}


def _row(found: SearchResult, best: Trial, tested: Accuracy) -> dict[str, Any]:
    low, high = tested.interval
    return {
        "arch": best.arch_json,
        "n_params": best.n_params,
        "n_macs": best.macs,
        "n_trials": len(found.trials),
        "search_s": round(found.elapsed_ms / 1e3, 3),
        "correct": tested.correct,
        "n_images": tested.n,
        "test_accuracy": tested.value,
        "test_accuracy_low": low,
        "test_accuracy_high": high,
    }
